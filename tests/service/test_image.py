"""The Dockerfile builds what it says, as far as that can be seen without docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from running import World
from service_kit import ROOT

from sidecar.cli.parsing import COMMANDS

DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
BUILD, RUN = DOCKERFILE.split("\nFROM ")[1:]


def instruction(stage: str, name: str) -> str:
    """Return what a stage says in its only instruction of a name."""
    (found,) = re.findall(rf"^{name} (.*)$", stage, re.MULTILINE)
    return str(found)


def as_list(stage: str, name: str) -> list[Any]:
    """Return a command, which must be one that needs no shell."""
    return list(json.loads(instruction(stage, name).rpartition("CMD ")[2]))


def test_what_is_copied_is_let_in_and_enough_for_the_wheel(tmp_path: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = [line.split()[:-1] for line in re.findall(r"^COPY (?!--)(.*)$", BUILD, re.MULTILINE)]
    assert {name for names in copied for name in names} == let_in
    for name in let_in:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", "wheels"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert len(list((tmp_path / "wheels").glob("*.whl"))) == 1


def test_the_image_runs_the_daemon_as_a_user_that_is_not_root_and_without_a_shell() -> None:
    assert int(instruction(RUN, "USER").partition(":")[0]) > 0
    assert f"--chown={instruction(RUN, 'USER')} /state {instruction(RUN, 'VOLUME')}" in RUN
    assert as_list(RUN, "ENTRYPOINT") == ["luminalog-sidecar"]
    command, *_, config = as_list(RUN, "CMD(?= \\[)")
    assert command in COMMANDS
    assert f":{config}:ro" in (ROOT / "docs" / "docker.md").read_text()


async def test_the_health_check_asks_the_daemon(world: World) -> None:
    daemon = await world.start()
    program, *args = as_list(RUN, "HEALTHCHECK")
    assert program == "python"

    def healthy() -> bool:
        environment = {**os.environ, "HEALTH_URL": f"{daemon.url}/healthz"}
        return (
            subprocess.run([sys.executable, *args], env=environment, capture_output=True, check=False).returncode == 0
        )

    assert healthy()
    await daemon.stop()
    assert not healthy()

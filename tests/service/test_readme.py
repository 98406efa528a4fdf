"""Whoever follows the README's install paths to the letter is paged. What a path needs and is not here, skips its test.

The systemd path is `test_install`, Kubernetes `tests/helm`, the image `test_image`.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml
from running import Daemon, World, eventually
from service_kit import ROOT

README = (ROOT / "README.md").read_text()


def part(title: str) -> str:
    """Return what stands under a heading."""
    return README.partition(f"### {title}\n")[2].partition("\n##")[0]


def block(text: str, language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)[0]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A new user's, whose pip gets dependencies from here: nothing is downloaded."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not re.match(r"pip|_?(__)?(editable|luminalog_sidecar)|.*\.(pth|virtualenv)", path.name):
            (libraries / path.name).symlink_to(path)
    return {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(libraries),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip means: yes, none
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


async def test_to_try_it(world: World, tmp_path: Path, environment: dict[str, str]) -> None:
    lines = block(part("To try it"), "console").replace("$ ", "").splitlines()
    config = tmp_path / "minimal.yaml"
    config.write_text((ROOT / "config/minimal.yaml").read_text() + "\nadmin: {listen: '127.0.0.1:0'}\n")
    script = [line.replace("config/minimal.yaml", str(config)) for line in lines]
    export = next(line for line in script if line.startswith("export "))
    ours = export.replace("https://hooks.slack.com/services/…", world.stand_in.slack_url)
    ours = ours.replace("/var/log/app/", f"{world.logs}/")
    assert world.stand_in.slack_url in ours
    assert str(world.logs) in ours
    script[script.index(export)] = ours
    *before, run = script
    process = await asyncio.create_subprocess_shell(
        "\n".join(["set -eu", *before, f"exec {run}"]), executable="/bin/bash", cwd=ROOT, env=environment,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    daemon = Daemon(process)
    world.daemons.append(daemon)
    # pip, check and send-test come first.
    async with asyncio.timeout(100):
        while not (started := re.search(r" started .* admin=(\S+)", daemon.stderr)):
            assert process.returncode is None, daemon.stderr
            await asyncio.sleep(0.05)
    daemon.url = started[1]
    await eventually(daemon.is_ready)
    world.write(world.database_error(0))
    assert "DatabaseConnectionError" in (await world.received(2))[-1].title  # behind the test event
    assert await daemon.stop() == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_behind_a_sender(world: World, tmp_path: Path) -> None:
    text = part("Behind Fluent Bit, Vector, or an SDK")
    world.settings |= yaml.safe_load(block(text, "yaml").replace("0.0.0.0:9880", "127.0.0.1:0"))
    world.configure()
    daemon = await world.spawn(env={**os.environ, "INGEST_TOKEN": "a-token-of-ours-0123456789"})
    address = (await daemon.says("listening"))["address"]
    (tmp_path / "app.log").write_text(world.database_error(0) + "\n")
    command = block(text, "console").removeprefix("$ ").replace("localhost:9880", address)
    assert address in command
    curl = await asyncio.create_subprocess_shell(
        command, cwd=tmp_path, env={**os.environ, "INGEST_TOKEN": "a-token-of-ours-0123456789"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    answer, _ = await curl.communicate()
    assert answer == b'{"accepted":1,"rejected":0}'
    assert {one.service.value for one in await world.received(3)} == {"pagerduty", "slack", "discord"}

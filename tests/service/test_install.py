"""Whoever follows docs/systemd.md to the letter has a service that pages, and can remove it again."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from running import KEY, Daemon, World
from service_kit import PROGRAM, ROOT, UNIT, Manager, settings

PAGE = ROOT / "docs" / "systemd.md"
PLACES = re.compile(r"(?<![\w.])/(?:opt|etc|var/lib|usr/local/bin)/")
"""What the page changes of a machine: here all of it is below a directory."""

PRELUDE = """
    set -eu
    sudo() { "$@"; }
    systemctl() { echo "$*" >> "$MACHINE/systemctl"; }
    systemd-sysusers() { command systemd-sysusers --root="$MACHINE" "$@" 2>&1; }
    systemd-tmpfiles() { command systemd-tmpfiles --root="$MACHINE" "$@"; }
"""

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("systemd-tmpfiles") is None, reason="systemd is not installed, or we are not root"
)


class Machine:
    """A directory that stands for a machine's root."""

    def __init__(self, root: Path, world: World) -> None:
        self.root = root
        self.world = world
        (root / "usr/local/bin").mkdir(parents=True)
        libraries = root.with_name("libraries")
        libraries.mkdir()
        for path in Path(sysconfig.get_path("purelib")).iterdir():  # what a registry would have: nothing is downloaded
            if not re.match(r"pip|_?(__)?(editable|luminalog_sidecar)|.*\.(pth|virtualenv)", path.name):
                (libraries / path.name).symlink_to(path)
        self.environment = {
            "PATH": f"{root}/usr/local/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "MACHINE": str(root),
            "PYTHONPATH": str(libraries),
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip means: yes, none
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
            "ADMIN_LISTEN": "127.0.0.1:0",
            "LOG_FILES": f"{world.logs}/*.log",
        }

    def here(self, text: str) -> str:
        """Return text with each place of the machine where it is."""
        return PLACES.sub(lambda place: f"{self.root}{place[0]}", text)

    def run(self, script: str) -> str:
        """Run lines of shell; return what they print."""
        done = subprocess.run(
            ["bash", "-c", PRELUDE + script],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def command(self, command: str) -> str:
        """Return a command of the page as it is run here."""
        typed = {"pagerduty": KEY, "slack": self.world.stand_in.slack_url}
        line = self.here(command)
        if "/dev/stdin" in command:
            return f"{line} <<< {typed[command.rpartition('/')[2]]}"
        if "config/systemd.yaml" in command:  # no journal here, the stand-in is PagerDuty, the machine is a directory
            return f"""{line}
                sed -i -e '/type: journal/d' -e 's,/etc/\\|/var/lib/,{self.root}&,' \
                    -e 's,^    type: pagerduty,&\\n    url: {self.world.stand_in.url},' {line.split()[-1]}"""
        return line


def commands(part: str) -> list[str]:
    """Return what a part of the page has people type."""
    blocks = re.findall(r"```console\n(.*?)```", part, re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if not line.startswith("$ curl")]


async def test_the_page_leads_to_a_service_that_pages(world: World, tmp_path: Path) -> None:
    install, _, rest = PAGE.read_text().partition("## What systemd is told")
    machine = Machine(tmp_path / "machine", world)
    said = await asyncio.to_thread(machine.run, "\n".join(map(machine.command, commands(install))))
    assert "sidecar.yaml: fine" in said
    assert len(await world.received(3)) == 3  # the test events
    assert (machine.root / "systemctl").read_text().splitlines() == [
        "daemon-reload", "enable --now luminalog-sidecar", "status luminalog-sidecar",
    ]  # fmt: skip
    source = {path.relative_to(ROOT) for path in (ROOT / "sidecar").rglob("*") if path.suffix in {".sql", ".typed"}}
    (packages,) = (machine.root / "opt/luminalog-sidecar/lib").glob("python*/site-packages")
    assert {path for path in source if not (packages / path).is_file()} == set()

    await supervise(machine, world, tmp_path)

    await asyncio.to_thread(machine.run, "\n".join(map(machine.command, commands(rest))))
    left = {str(path.relative_to(machine.root)) for path in machine.root.rglob("*") if "luminalog" in path.name}
    assert left == {
        "etc/luminalog-sidecar", "etc/sysusers.d/luminalog-sidecar.conf", "etc/tmpfiles.d/luminalog-sidecar.conf",
        "var/lib/luminalog-sidecar",
    }  # fmt: skip


async def supervise(machine: Machine, world: World, tmp_path: Path) -> None:
    """Do what systemd does with the unit: hand over credentials, check, start, wait until ready, stop."""
    installed = machine.root / "etc/systemd/system" / UNIT.name
    unit = settings(installed)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for loaded in settings(installed.with_name(f"{UNIT.name}.d") / "credentials.conf")["LoadCredential"]:
        name, _, path = loaded.partition(":")
        shutil.move(machine.here(path), credentials / name)  # nothing reads the originals
    with Manager(str(tmp_path / "notify")) as manager:
        environment = machine.environment | {
            "CREDENTIALS_DIRECTORY": str(credentials),
            "STATE_DIRECTORY": str(machine.root / "var/lib" / unit["StateDirectory"][0]),
            "NOTIFY_SOCKET": manager.address,
        }
        for line in (*unit["ExecStartPre"], *unit["ExecStart"]):
            program, *args = shlex.split(machine.here(line))
            assert program == machine.here(PROGRAM)
            process = await asyncio.create_subprocess_exec(
                program, *args, env=environment, cwd="/", stderr=asyncio.subprocess.PIPE
            )
            world.daemons.append(Daemon(process))
            if " check " in line:
                assert await world.daemons[-1].exit() == 0, world.daemons[-1].stderr
        await manager.until(lambda said: "READY=1" in said)
        world.write(world.database_error(0))
        pages = [one for one in await world.received(5) if "DatabaseConnectionError" in one.title]
        assert {one.service for one in pages} >= {"pagerduty", "slack"}
        assert await world.daemons[-1].stop() == 0, world.daemons[-1].stderr

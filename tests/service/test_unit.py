"""The unit is one that systemd takes without a word, hardened, and in step with the daemon."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from service_kit import PROGRAM, ROOT, UNIT, settings

from sidecar.config.document import Root
from sidecar.supervision import READY_SECONDS, STOP_MARGIN_SECONDS, TURN_SECONDS

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
DROP_IN = ROOT / "systemd" / "credentials.conf"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with its drop-in, and with a program that is there."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PROGRAM, sys.executable))
    (tmp_path / f"{unit.name}.d").mkdir()
    (tmp_path / f"{unit.name}.d" / DROP_IN.name).write_text(DROP_IN.read_text())
    return unit


def analyze(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *map(str, args)], capture_output=True, text=True, timeout=60, check=False)


@needs_systemd
def test_systemd_finds_nothing_to_say_about_the_unit(unit: Path) -> None:
    done = analyze("verify", unit)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
def test_a_mistake_in_the_unit_would_be_found(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("[Service]", "[Service]\nRestrat=always"))
    assert "Restrat" in analyze("verify", unit).stderr


@needs_systemd
def test_the_units_exposure_is_at_most_one_and_a_half(unit: Path) -> None:
    done = analyze("security", "--offline=true", "--no-pager", "--threshold=15", unit)
    assert done.returncode == 0, done.stdout
    assert re.search(r"exposure level for \S+: (\d\.\d)", done.stdout)


def test_the_unit_fits_what_the_daemon_does() -> None:
    unit = settings(UNIT)
    assert unit["Type"] == ["notify"]
    drain = Root().drain_seconds
    assert isinstance(drain, int)
    assert unit["TimeoutStopSec"] == [f"{drain + STOP_MARGIN_SECONDS:g}s"]
    assert int(unit["WatchdogSec"][0].removesuffix("s")) / 2 >= TURN_SECONDS
    assert READY_SECONDS < 90, "what systemd waits by itself"


def test_a_configuration_is_checked_before_each_start_and_reload() -> None:
    unit = settings(UNIT)
    (start,) = unit["ExecStart"]
    check = start.replace(" run ", " check ")
    assert start == f"{PROGRAM} run --config /etc/luminalog-sidecar/sidecar.yaml"
    assert unit["ExecStartPre"] == [check]
    assert unit["ExecReload"] == [check, "/bin/kill -HUP $MAINPID"]


def test_each_key_that_the_example_names_is_handed_over() -> None:
    named = re.findall(r"_file: \$\{CREDENTIALS_DIRECTORY:-(\S+)\}/(\S+)", (ROOT / "config/systemd.yaml").read_text())
    assert [f"{key}:{place}/{key}" for place, key in named] == settings(DROP_IN)["LoadCredential"]

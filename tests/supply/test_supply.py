"""What the program is built of is known to the byte: locked with hashes, licensed, and asked about for weaknesses."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
BUILD_LOCK = (ROOT / "requirements-build.lock").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DIRECT = [Requirement(text) for text in PYPROJECT["project"]["dependencies"]]
PROJECT_BUILD = [Requirement(text) for text in PYPROJECT["build-system"]["requires"]]

PLATFORMS = [
    {
        "sys_platform": system,
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.1",
    }
    for system, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
    for python in ("3.11", "3.12", "3.13", "3.14")
]


def entries(lock: str = LOCK) -> dict[str, tuple[Requirement, list[str]]]:
    """Return what is locked by name: the pinned requirement and the hashes."""
    found: dict[str, tuple[Requirement, list[str]]] = {}
    for line in re.sub(r"\\\n", "", re.sub(r"^\s*#.*\n", "", lock, flags=re.MULTILINE)).splitlines():
        requirement, *hashes = line.split("--hash=sha256:")
        pinned = Requirement(requirement)
        assert pinned.name not in found
        found[canonicalize_name(pinned.name)] = (pinned, [one.strip() for one in hashes])
    return found


def applies(marker: Marker | None, platform: dict[str, str]) -> bool:
    return marker is None or marker.evaluate({**default_environment(), **platform})


@pytest.mark.parametrize("lock", [LOCK, BUILD_LOCK], ids=["program", "build"])
def test_every_entry_is_one_version_with_hashes(lock: str) -> None:
    assert entries(lock)
    for pinned, hashes in entries(lock).values():
        assert re.fullmatch(r"==[\w.]+", str(pinned.specifier)), pinned
        assert hashes, pinned
        assert all(re.fullmatch("[0-9a-f]{64}", one) for one in hashes), pinned


@pytest.mark.parametrize("lock", [LOCK, BUILD_LOCK], ids=["program", "build"])
def test_no_place_to_fetch_from_is_named(lock: str) -> None:
    assert not re.search(r"://|index-url|find-links|trusted-host| @ |file:|/", lock)


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_the_lock_satisfies_what_the_project_asks_for(requirement: Requirement) -> None:
    """Also in which platforms it asks for: if this fails, `make lock`."""
    pinned, _ = entries()[canonicalize_name(requirement.name)]
    (version,) = pinned.specifier
    assert requirement.specifier.contains(version.version)
    for platform in PLATFORMS:
        assert applies(pinned.marker, platform) or not applies(requirement.marker, platform), platform


def test_whatever_the_locked_packages_need_is_locked() -> None:
    locked = entries()
    for name in locked:
        try:
            needed = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue  # for another platform
        for requirement in needed:
            if applies(requirement.marker, {"extra": ""}):
                assert canonicalize_name(requirement.name) in locked, (name, requirement)


def test_nothing_is_locked_that_nobody_needs() -> None:
    needed_by = re.findall(r"^(?:    # via (\S+)|    #   (\S+))", LOCK, re.MULTILINE)
    names = {first or second for first, second in needed_by} - {"", "luminalog-sidecar"}
    assert names <= entries().keys()


def test_the_image_takes_nothing_but_what_is_locked() -> None:
    dockerfile = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    installs = re.findall(r"pip install ([^&]*)", dockerfile)
    assert len(installs) == 3
    for install, lock in zip(installs, ("requirements-build.lock", "requirements.lock"), strict=False):
        assert "--require-hashes" in install
        assert f"-r {lock}" in install
    assert "--no-deps --no-index" in installs[2]
    assert "pip wheel --no-deps --no-build-isolation" in dockerfile


@pytest.mark.parametrize("requirement", PROJECT_BUILD, ids=lambda requirement: requirement.name)
def test_what_builds_the_wheel_is_locked(requirement: Requirement) -> None:
    (version,) = entries(BUILD_LOCK)[canonicalize_name(requirement.name)][0].specifier
    assert requirement.specifier.contains(version.version)


LICENCES = runpy.run_path(str(ROOT / "docs" / "licences.py"))
PAGE = ROOT / "docs" / "licences.md"


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_the_licence_of_a_package_is_listed_as_the_package_says_it(requirement: Requirement) -> None:
    """If this fails: `make licences`."""
    said = LICENCES["licence_of"](requirement.name)
    listed = LICENCES["rows"](PAGE.read_text())[canonicalize_name(requirement.name)]
    assert listed not in ("", "unknown")
    assert said in (None, listed)


def test_every_locked_package_has_its_row() -> None:
    assert list(LICENCES["rows"](PAGE.read_text())) == list(entries())


def test_a_page_is_written_anew_around_what_stands_before_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is not installed here keeps its row."""
    begin, end = LICENCES["BEGIN"], LICENCES["END"]
    update = LICENCES["update"]
    monkeypatch.setitem(update.__globals__, "locked", lambda: ["msgspec", "not-installed", "neither"])
    page = f"before\n{begin}\n|---|---|\n| gone | x |\n| not-installed | WTFPL |\n{end}\n"
    assert update(page) == (
        f"before\n{begin}\n| package | licence |\n|---|---|\n| msgspec | BSD-3-Clause |\n| not-installed | WTFPL |\n"
        f"| neither | unknown |\n{end}\n"
    )


@pytest.mark.parametrize(
    ("answer", "code", "out", "err"),
    [
        ({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}, 0, "no known vulnerability in 1", ""),
        (
            {"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "V-1", "fix_versions": ["2"]}]}]},
            1, "a 1: V-1, mended in 2", "",
        ),
        ({"dependencies": [{"name": "a", "skip_reason": "not found"}]}, 2, "", "could not be reached: 1 of 1"),
        ("no connection", 2, "", "could not be reached: nothing was checked"),
    ],
)  # fmt: skip
def test_an_audit_that_could_ask_nobody_is_no_good_news(
    answer: object, code: int, out: str, err: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tool = tmp_path / "pip-audit"
    tool.write_text(f"#!{sys.executable}\nimport json\nprint(json.dumps({answer!r}))\n")
    tool.chmod(0o755)
    audit = runpy.run_path(str(ROOT / ".ci" / "audit"))
    assert audit["main"](tmp_path) == code
    said = capfd.readouterr()
    assert (out in said.out, err in said.err) == (True, True)
    assert len((said.out + said.err).splitlines()) == 1

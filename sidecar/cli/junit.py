"""The report that build servers read: JUnit's XML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol
from xml.etree import ElementTree

from sidecar.config.rule_tests import RuleTest

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML cannot hold, not even escaped."""


class Ran(Protocol):
    """A test that was run."""

    @property
    def test(self) -> RuleTest:
        """Which."""

    @property
    def differences(self) -> Sequence[object]:
        """What was not as expected; nothing: it passed."""

    @property
    def seconds(self) -> float:
        """How long it took."""


def junit(results: Sequence[Ran]) -> bytes:
    """Return a report of tests, one suite for each file."""
    suites = ElementTree.Element("testsuites", _sums(results))
    for file in dict.fromkeys(result.test.file for result in results):
        own = [result for result in results if result.test.file == file]
        suite = ElementTree.SubElement(suites, "testsuite", {"name": _text(file), **_sums(own)})
        for result in own:
            about = ", ".join(sorted(result.test.rules))
            case = ElementTree.SubElement(
                suite,
                "testcase",
                {
                    "classname": _text(about),
                    "name": _text(result.test.name),
                    "file": _text(file),
                    "time": f"{result.seconds:.3f}",
                },
            )
            if result.differences:
                message = {"message": _text(str(result.differences[0]))}
                failure = ElementTree.SubElement(case, "failure", message)
                failure.text = _text("\n".join(map(str, result.differences)))
    report: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return report


def _sums(results: Sequence[Ran]) -> dict[str, str]:
    failed = sum(bool(result.differences) for result in results)
    seconds = sum(result.seconds for result in results)
    return {"tests": str(len(results)), "failures": str(failed), "time": f"{seconds:.3f}"}


def _text(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)

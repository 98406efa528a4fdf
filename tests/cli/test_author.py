"""Who says something is who the command names, else whoever runs it."""

from __future__ import annotations

import os

import pytest

from sidecar.cli.client import author


def test_a_named_author_wins() -> None:
    assert author("Ann") == "Ann"


def test_whoever_has_no_name_on_the_machine_is_named_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)  # as in a container that is run under any number
    assert author(None) == "user 4000000000"

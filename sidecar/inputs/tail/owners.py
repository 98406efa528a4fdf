"""Gives stored positions to the inputs that follow their files now.

A position belongs to an input by the input's name; without one of its own, an input is called by its place among the
others (`tail`, `tail-2`, …). When another is put before it, or it is renamed, its globs are still the same: by them its
positions find it again. Otherwise it would begin its files anew, and lose what came while the daemon was down.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

import msgspec

from sidecar.config.model import TailInput
from sidecar.core.position import PositionRow

_KEY = re.compile(r"tail/(?P<owner>.+?)/(?P<kind>file|past|scanned)/(?P<rest>.*)", re.S)


class _Row(msgspec.Struct):
    """What the rows of files and paths have in common."""

    pattern: str


def moves(rows: Mapping[str, bytes], inputs: Iterable[TailInput]) -> list[PositionRow]:
    """Return the rows that move positions from inputs that have not got their glob (any longer) to one that has."""
    globs = {one.name: [os.path.abspath(path) for path in one.paths] for one in inputs}  # noqa: PTH100 (as scan.py)
    moving: dict[str, tuple[str, bytes]] = {}
    for key, value in rows.items():
        found = _KEY.fullmatch(key)
        glob = _glob_of(found["kind"], found["rest"], value) if found else None
        if found is None or glob is None or glob in globs.get(found["owner"], ()):
            continue
        owner = next((name for name, patterns in globs.items() if glob in patterns), None)
        if owner is not None:
            moving[key] = f"tail/{owner}/{found['kind']}/{found['rest']}", value
    staying = rows.keys() - moving.keys()
    return [
        *(PositionRow(key=key, value=None) for key in moving),
        *(PositionRow(key=new, value=value) for new, value in moving.values() if new not in staying),
    ]


def _glob_of(kind: str, rest: str, value: bytes) -> str | None:
    if kind == "scanned":
        return rest
    try:
        return msgspec.json.decode(value, type=_Row).pattern
    except msgspec.MsgspecError:
        return None

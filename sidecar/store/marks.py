"""Remembers beside the database that an incident was opened which the database could not take in.

A full disk still has room for the name of an empty file, and it is only a name that has to outlive the daemon: with
which key people were told that state cannot be written, so that the next run can tell them that it is over.

Invariants
- Nobody waits for the disk, which may hang: a thread of its own makes and removes the files.
- What cannot be made is missing at the next start, and nothing else comes of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

_NAME = re.compile(r"(self-[0-9a-f]{32})\.([0-9]{1,19})\.open")
MAX_MARKS = 1_000
"""Names that a start looks at: one is left by each run that ended so."""


class Marks:
    """The marks in one state directory."""

    def __init__(self, directory: Path | None) -> None:
        """None: state is in memory, and nothing outlives the daemon."""
        self._directory = directory

    def found(self) -> dict[str, int]:
        """Return what earlier runs have left: incidents' ids, and since when each was open. Blocks; for a start."""
        marks: dict[str, int] = {}
        if self._directory is not None:
            with contextlib.suppress(OSError), os.scandir(self._directory) as entries:
                for entry in entries:
                    name = _NAME.fullmatch(entry.name)
                    if name is not None and len(marks) < MAX_MARKS:
                        marks[name[1]] = int(name[2])
        return marks

    def set(self, incident_id: str, since: int) -> None:
        """Remember an incident. `since`: wall clock, nanoseconds."""
        self._run(
            lambda path: os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)), incident_id, since
        )

    def clear(self, incident_id: str, since: int) -> None:
        """Forget an incident."""
        self._run(os.unlink, incident_id, since)

    def _run(self, do: Callable[[Path], None], incident_id: str, since: int) -> None:
        if self._directory is None:
            return
        path = self._directory / f"{incident_id}.{since}.open"

        def run() -> None:
            with contextlib.suppress(OSError):
                do(path)

        with contextlib.suppress(RuntimeError):  # there is room for no thread
            threading.Thread(target=run, name="mark", daemon=True).start()

"""The program that forks daemons (`dying`), as its users see it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class Forge:
    """One for many daemons, which saves each the imports. They live one at a time."""

    def __init__(self, program: str | Path) -> None:
        """`program`: a file here, or one elsewhere that serves as `dying` does."""
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).parent / program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, request: dict[str, Any]) -> None:
        """Have a daemon started. The next answer is its process id, the one behind it its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def close(self) -> None:
        with self._process:
            pass

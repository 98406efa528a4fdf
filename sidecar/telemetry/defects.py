"""Says where an unexpected error came from, without its words: those may hold log lines, addresses or keys."""

from __future__ import annotations

import traceback
from pathlib import Path

FRAMES = 4
"""Innermost calls shown: enough to find the line."""


def traced(error: BaseException) -> str:
    """Return the error's type and its innermost calls, for example `KeyError in advance.py:210 advance`."""
    while isinstance(error, BaseExceptionGroup) or error.__cause__ is not None:
        error = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__ or error
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    calls = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"{type(error).__name__} in {calls}" if calls else type(error).__name__

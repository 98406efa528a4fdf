"""What a configuration asks to be hidden on top of what is known everywhere: account numbers, names of customers.

Invariants
- Linear time: the patterns are RE2's.
- A pattern sees no mark, only what stands between them: it can neither hide one nor go on behind one.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sidecar.core.patterns import compile_replacing
from sidecar.core.redact_base import MARK, Step

_MARKS = re.compile(rb"(?:" + re.escape(MARK) + rb")+")


def hide_more(text: str, own: Step) -> tuple[str, int]:
    """Return text that is redacted as usual without what is also to be hidden, and in how many more places that was."""
    data = text.encode("utf-8", "surrogatepass")
    hidden = own(data)
    return hidden.decode("utf-8", "surrogatepass"), max(0, hidden.count(MARK) - data.count(MARK))


@lru_cache(maxsize=4)
def own_step(patterns: tuple[str, ...]) -> Step | None:
    """Return what hides all that the patterns find; None without patterns. Equal patterns give the very same step.

    Raises:
        PatternError: one of them cannot be used.
    """
    if not patterns:
        return None
    replaces = [compile_replacing(pattern, MARK) for pattern in patterns]

    def step(data: bytes) -> bytes:
        for replace in replaces:
            # One mark for finds side by side: a pattern of single digits must not make a text ten times as long.
            data = MARK.join(_MARKS.sub(MARK, replace(part)) for part in data.split(MARK))
        return data

    return step

"""Whether all that some globs fit is certain to fit others, too.

Globs cannot be compared in general. Here one is held to lie within another only where that is certain, so what is said
of configurations because of it is true; and it is seen for what people write: names, `billing*`, `*`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from sidecar.core.routing import is_anything

Globs = tuple[str, ...] | None
"""None: anything, also nothing."""


def within(narrow: Globs, wide: Globs) -> bool:
    """Whether all that `narrow` fits is certain to fit `wide`."""
    if wide is None or any(map(is_anything, wide)):
        return True
    return narrow is not None and all(any(_is_part(one, other) for other in wide) for one in narrow)


def _is_part(narrow: str, wide: str) -> bool:
    start = _literal_start(narrow)
    if narrow == wide or (start == narrow and fnmatchcase(narrow, wide)):
        return True
    return wide.endswith("*") and _literal_start(wide) == wide[:-1] and start.startswith(wide[:-1])


def _literal_start(pattern: str) -> str:
    return pattern[: min((pattern.index(mark) for mark in "*?[" if mark in pattern), default=len(pattern))]

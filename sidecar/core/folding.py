"""Upper and lower case as log formats mean it: ASCII letters only.

`str.lower` also turns the Kelvin sign into `k`; a key or a level is only ever compared by its ASCII letters, so that
a byte-wise search for the same words finds exactly the same lines.
"""

from __future__ import annotations

_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def fold(text: str) -> str:
    """Return the text with the letters A to Z in lower case and everything else untouched."""
    return text.lower() if text.isascii() else text.translate(_LOWER)

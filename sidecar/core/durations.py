"""How long something took, in words for people."""

from __future__ import annotations


def duration_text(seconds: float) -> str:
    """Return a duration in the units that tell most: `850 ms`, `42.0 s`, `3 min 20 s`, `1 d 4 h`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for large, name, small, part in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min")):
        if whole >= large:
            return f"{whole // large} {name} {whole % large // small} {part}"
    return f"{whole // 60} min {whole % 60} s"

"""What the parts of redaction share: the mark, searches in linear time, and what may stand right before a find.

A secret seldom follows a space only: within JSON it may follow `\\n`, in an address `%3D`. Their last letter is no part
of the word behind it.
"""

from __future__ import annotations

from collections.abc import Callable

import re2

MARK = b"[redacted]"

Step = Callable[[bytes], bytes]
"""Replaces one kind of secret."""

PERCENT = rb"%(?:25){0,3}"
"""What begins a percent-encoded character, also where it was encoded again."""

ENCODED = PERCENT + rb"[0-9A-Fa-f]{2}"
"""A percent-encoded character."""

ESCAPE = rb"(?:\\|" + PERCENT + rb"5[Cc])+(?:[nrtbf]|u[0-9A-Fa-f]{4})"
"""A character escaped in JSON, at any depth of JSON within JSON."""

OTHER_QUOTE = (
    rb"(?:\\{0,15}|(?:"
    + PERCENT
    + rb"5[Cc]){0,15})(?:"
    + PERCENT
    + rb"2[27]|&(?:amp;){0,3}(?:quot|apos|#34|#39|#x2[27]);)"
    rb"|\\{1,8}u0022"
)
"""A quote that is percent-encoded, escaped for HTML or by its number, with what escaped it before."""


def compile_pattern(pattern: bytes, *, ignore_case: bool = False) -> re2._Regexp:
    """Compile a pattern on bytes that is searched in linear time."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = not ignore_case
    options.log_errors = False
    return re2.compile(pattern, options)


def replacing(pattern: re2._Regexp, replacement: Callable[[re2._Match], bytes]) -> Step:
    """Return a step that replaces what the pattern finds; a `replacement` that declines returns what it got."""

    def step(data: bytes) -> bytes:
        replaced: bytes = pattern.sub(replacement, data)
        return replaced

    return step

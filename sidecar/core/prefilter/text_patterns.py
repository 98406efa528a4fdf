r"""What a line of text must hold for its record to be of a level, or for the record that it goes on with.

As `patterns` does for objects, which stand among text and inside it, so both are searched for together. Docs, tests and
house rules are those of `patterns`; what is different here:

- A text says its level in front of its message: in capitals anywhere, in any case in brackets, right behind a time, or
  first in front of a colon. To the left of the latter there is nothing but separators and the end of a time.
- A text without a level is an error if it begins with the name of one, or if a line behind it is a frame of a trace.
  Frames begin lines, and so stand behind white space at least.
- Values of pairs are quoted with escapes, which may stand for separators; other escapes than JSON's are hits.
- White space and digits may be any of Unicode's: all bytes beyond ASCII count as both.
"""

from __future__ import annotations

from sidecar.core.levels import ALIASES, Level, Scale, level_from_number
from sidecar.core.prefilter.patterns import LEVEL_KEYS, SUFFIX, Expression, number_of, of_levels, one_of, stems_of

_SPACE = r" \t\f\v\r\x1c-\x1f\x80-\xff"
_ESCAPED = r"\\[nrtbf\"]|\\u[0-9a-f]{4}"
_SEPARATOR = rf"(?:[{_SPACE}|,;:>\])\"-]|{_ESCAPED})"
_WORD_ENDS = rf"[:/\n{_SPACE}|,;\[\](){{}}<>\"\\]"
_TIME_ENDS = r"(?:[0-9\x80-\xff]|[0-9]z|utc|gmt|[ap]m|/[a-z_/+-]{1,20}|[a-z_/+-]{20})"
"""A digit, or a zone."""

_PADDING = rf"(?:[{_SPACE}\[\](){{}}<>:|,;\"']|{_ESCAPED})"
_CASUAL = ("warn", "warning", "err", "error", "critical", "fatal", "panic")
"""Levels that count in any case right behind a time."""

_KLOG = {Level.WARN: "W", Level.ERROR: "E", Level.FATAL: "F"}
_LINE_ENDS = rf"[{_SPACE}]*$"
_BEGINS_WORD = r"(?:^|[^!-~])"
"""To the left of it is white space, or nothing."""

_PAIRED_TYPES = (
    r"(?:error_?type|exc_type|(?:error|err|exception)\.(?:type|name|kind|class)"
    r"|stack_?trace|stack|(?:error|err)\.stack(?:_trace)?|exception\.stacktrace|exc_info|traceback|full_message|@x)"
)

_NAMES: Expression = (rf"[A-Za-z0-9_.:\\$/\x80-\xff]{SUFFIX}[:\"\\\n{_SPACE}]", False)
"""The name of an error in front of a colon or at the end of a text; of a bare value, there is more behind."""

_TRACES: list[Expression] = [
    (rf"{_BEGINS_WORD}at (?:async )?[^\s(]+\(", False),
    (rf"{_BEGINS_WORD}at [^\n]*:[0-9]+\)?{_LINE_ENDS}", False),
    (
        rf"{_BEGINS_WORD}(?:(?:Caused|Wrapped) by:|Suppressed: |\.\.\. [0-9]+ (?:more|common )|\[CIRCULAR REF"
        r"|Stack (?:back)?trace:|--- End of |thrown in )",
        False,
    ),
    (rf"{_BEGINS_WORD}---> ", False),
    (r"File \"[^\"\n]*\", line [0-9]", False),
    (rf"{_BEGINS_WORD}#[0-9]+ +(?:/|\{{main|\[internal|0x|[^\s(]+\()", False),
    (r"\[(?:stacktrace|previous exception)\]", False),
    (r":[0-9]+:in ", False),
    (r"SIG[A-Z]{3,4}: [a-z]", False),
    (rf"\^{_LINE_ENDS}", False),
]
"""Frames and what stands among them; a signal; the caret under a source line of Node's."""

ODD_ESCAPE: Expression = (
    r"(?:=|\] ?)\"(?:[^\"\\\n]|\\[\"\\/bfnrtu0])*\\(?:[^\"\\/bfnrtu0\n]|u[0-9A-Fa-f]{0,3}[^0-9A-Fa-f])",
    False,
)
"""Finds an escape that stands for its own character, where it might be a letter of anything."""


def of_text(levels: frozenset[Level], key: str | None) -> list[Expression]:
    """Return what finds a line of every record of one of these levels, all bounded, in a file of text.

    `key`: the only one that says an object's level. What does so for all objects is looked for in any case.
    """
    if not levels:
        return []
    names = [name for name, level in ALIASES.items() if level in levels]
    name = one_of(names)
    found = of_levels(levels)
    if key is not None:
        found += of_levels(levels, key)
        found.append(_pair(key.rpartition(".")[2], names, levels, tuple(Scale)))
    found += [_pair(one, names, levels, scales) for scales, one in LEVEL_KEYS.items()]
    found += [
        # first, in front of a colon
        (rf"(?:^|[0-9=]|{_SEPARATOR}){name}:", True),
        # in brackets, alone or behind a module
        (rf"[\[(<:]{_PADDING}{{0,3}}{name}(?:{_PADDING}|[/\\\n])", True),
        (rf"{_PADDING}{{4}}{name}(?:{_PADDING}|[/\\\n])", True),
        # Ruby's
        (rf" {name} -- ", True),
        (f"<{one_of(_priorities(levels))}>", False),
    ]
    if casual := [name for name in _CASUAL if ALIASES[name] in levels]:
        word = rf"{one_of(casual)}{_WORD_ENDS}"
        found += [
            (rf"{_TIME_ENDS}{_SEPARATOR}{{0,6}}{word}", True),
            (rf"{_SEPARATOR}{{7}}{word}", True),
        ]
    if letters := "".join(letter for level, letter in _KLOG.items() if level in levels):
        found.append((rf"[{letters}][0-9]{{4}}(?:[0-9]{{4}})? [0-9][0-9]:", False))
    if Level.ERROR in levels:
        found += [
            _NAMES,
            *_TRACES,
            (rf"{_BEGINS_WORD}{_PAIRED_TYPES}=(?:\"[^\"]|[^\"\s])", True),
            (rf"{_BEGINS_WORD}(?:error|err|exception)=\"[^\"\\\n]*\\", True),
        ]
    return found


def _pair(name: str, names: list[str], levels: frozenset[Level], scales: tuple[Scale, ...]) -> Expression:
    """Return what finds a key and behind its equals sign one of some levels, or what may be read as one."""
    return rf"{name}=\"?(?:[^A-Za-z0-9\"\s]|{one_of(stems_of(names))}|{number_of(levels, scales)})|{name}=\"\s", True


def _priorities(levels: frozenset[Level]) -> list[str]:
    """Return facilities and levels of syslog, as they stand in front of a line."""
    of_levels = [number for number in range(200) if level_from_number(number & 7, Scale.SYSLOG) in levels]
    return [*map(str, of_levels), *(f"0{number}" for number in of_levels if number < 10)]

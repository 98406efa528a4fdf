r"""What a line must hold to become a record of a level, written as expressions for hyperscan.

Each is a net for one way in which `sidecar.core.decode` can come to a level, and lets through more than that reads: a
line too many is merely decoded, a line too few is a page that nobody gets. docs/prefilter.md goes through the ways.

What makes nets wide
- Any quotation mark may stand behind backslashes: objects are wrapped in texts, up to three times, and in Docker's.
- What is written in another way than loggers write it (white space, escapes, numbers with leading zeros) is a hit.
- No word boundary is relied on to the left: `\tERROR` is a `t` before an `E`.
- Letters are compared in ASCII case only: none of the expressions is in hyperscan's UTF-8 mode.
- `\u0045` is an `E`: an escape of a character in ASCII is a hit by itself, but for `&`, `<` and `>`, which encoders
  escape by habit; no net needs one of those.
- Colour may stand inside any word: an escape character is a hit by itself.
- What stands in front of a message (time, level, error type) is not searched for: a message that begins with anything
  but a plain word is a hit. Few do where a key says the level, and only where none does it matters.

What makes them fast: a key and what is odd behind it are one expression. Of two, each is tried at every key.
"""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.core.levels import ALIASES, Level, Scale, level_from_number

BOUNDED = frozenset({Level.WARN, Level.ERROR, Level.FATAL, Level.PANIC})
"""Levels whose records can be told from others by a search. Debug and info are most of what is logged: to look for
them gains nothing."""

Expression = tuple[str, bool]
"""An expression, and whether ASCII case makes no difference."""

_LEVEL_KEY = r"(?:level|lvl|severity|severity_?text|level_?name|priority|@l|severity_?number)"
_QUOTE = r'\\*"'
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_SUFFIX = "(?:Error|Exception|Failure|Fault|Panic|Timeout|Interrupt|Throwable)"

_ALWAYS: list[Expression] = [
    # an escape of what can be written without one
    (r"\\u00(?:[013-7][0-9a-f]|2[0-57-9a-f]|3[0-9abdf])", True),
    (r"\x1b", False),
]

_OPENING = (
    r"(?:[^A-Za-z{\"]"  # a time, a bracket, white space, what is not ASCII
    r"|[A-Za-z]+(?:[0-9._/$@#=:\\\x80-\xff-]|[ \t\f\v\r]+[|-])"  # a host, a logger, a name in front of a colon
    rf"|{_MONTH} |[A-Z][a-z][a-z](?:, [0-9]| {_MONTH})|[A-Z], \[|[AP]M[^a-z]"
    rf"|[A-Z][A-Za-z]*{_SUFFIX})"
)
"""How a text begins that may have a level or an error type in front."""

_MESSAGE = rf"(?i:message|msg|log|text|event|body|@m)\\*\"(?:[^:]|:(?: ?{_QUOTE}{_OPENING}|  | ?[^ \"\\]| ?\\+[^\"\\]))"

_ERRORS: list[Expression] = [
    # an error as a whole, an error's type, a stack trace
    (rf"\"(?:error|err|exception)\\*\"(?:[^:]|:(?: ?{_QUOTE}[^\"]|  | ?[^ \"\\n]| ?\\+[^\"\\]))", True),
    (
        r"(?:error_?type|exc_type|(?:error|err|exception)\.(?:type|name|kind|class)"
        r"|stack_?trace|stack|exc_info|traceback|full_message|@x)\\*\"(?:[^:]|:(?: ?[^ n]|  ))",
        True,
    ),
    # a trace inside a message, and what a message begins with that is no name
    (r"Traceback \(most |Exception in thread |Unhandled |Uncaught |Caused by: |terminate called |libc\+\+abi", False),
    (r"n(?:\s|\\+t)+(?:at|from) |\\+n#[0-9]|\\+ngoroutine ", False),
]
"""What makes a record without a level an error."""

_PANICS: list[Expression] = [(r"panic: |panicked at |overflowed its stack|panic serving |fatal error: |goroutine ", False)]
"""What makes it a panic."""


def of_levels(levels: frozenset[Level]) -> list[Expression]:
    """Return what finds every object's line whose record has one of these levels, all of which must be bounded ones.

    The input's `default_level` must not be among them: nothing has to be said for that.
    """
    if not levels:
        return list(_ALWAYS)
    names = [name for name, level in ALIASES.items() if level in levels]
    stems = _one_of(_stems(names))
    numbers = _one_of(str(n) for n in range(100) if {level_from_number(n, scale) for scale in Scale} & levels)
    number = rf"(?:[0-9]+[.e]|0[0-9]|{numbers}[^0-9])"
    text = rf"{_QUOTE}(?:[^A-Za-z0-9\"]|{stems}|{number})"
    found: list[Expression] = [
        *_ALWAYS,
        (rf"{_LEVEL_KEY}\\*\"(?:[^:]|:(?: ?{text}| ?{number}| ?[^ \"\\A-Za-z0-9]|  | ?\\+[^\"\\]))", True),
        (_MESSAGE, False),
        (rf"{_one_of(name.upper() for name in _stems(names))}", False),
        (rf"(?:level|lvl|severity)=(?:{_QUOTE})?{stems}", True),
    ]
    phrases = [
        *(["atal error: ", "atal runtime error: "] if Level.FATAL in levels else ()),
        *(["PHP Parse error: ", "PHP Recoverable fatal error: "] if Level.ERROR in levels else ()),
        *(["PHP Warning: "] if Level.WARN in levels else ()),
    ]
    if phrases:
        found.append((_one_of(phrases), False))
    if Level.ERROR in levels or Level.PANIC in levels:
        found += _PANICS
    if Level.ERROR in levels:
        found += _ERRORS
    return found


# ── lines that the lines around them may belong to ────────────────────────────────────────────────────────────────────


def of_structure(*, cri: bool, docker: bool) -> list[Expression]:
    """Return what finds every line that is not what it must be to be a record by itself.

    That is an object, by itself or wrapped, whole, by a container's runtime. Everything else may go on with the line
    before it, or be gone on with. A line that merely looks like an object is text: it can only be the beginning of a
    record, or look like a frame of Ruby's or the source line that Node prints.
    """
    wrapped = [_not_cri()] if cri else []
    found: list[Expression] = [
        (rf"^(?:[^{{0-9]|{wrapped[0]})" if cri else r"^[^{]", False),
        (r":[0-9]+:in ", False),
        (r"\.[cm]?[jt]sx?:[0-9]+(?:\s|\\+[trnf])*(?:\\+n\"|\n)", False),
        (r"node:[^\s\"]+:[0-9]+(?:\s|\\+[trnf])*(?:\\+n\"|\n)", False),
    ]
    if docker:
        found += [
            (r"\"log\"(?:[\s]|:(?:[\t\r]| [\t \r]| ?\"[^{]))", False),
            # no newline at the end: the first piece of a line
            (r"\"log\": ?\"\{(?:[^\"\\\n]|\\[^\n])*(?:[^\"\\\n]|\\[^n\n])\"", False),
        ]
    return found


def _not_cri() -> str:
    """Return what matches the beginning of every line but of those that CRI runtimes write around an object.

    Only what they write is excepted: nanoseconds, a zone, and no tags.
    """
    digit = ("[0-9]", "[^0-9]")

    def unlike(parts: list[tuple[str, str]], rest: str) -> str:
        for part, other in reversed(parts):
            rest = rf"(?:{other}|{part}{rest})" if rest else other
        return rest

    def literal(text: str) -> list[tuple[str, str]]:
        return [(rf"[{char}]", rf"[^{char}]") for char in text]

    content = unlike(literal(" F {"), "")
    stream = unlike(literal(" std"), rf"(?:[^oe]|o{unlike(literal('ut'), content)}|e{unlike(literal('rr'), content)})")
    offset = unlike([digit, digit, *literal(":"), digit, digit], stream)
    zone = rf"(?:[^0-9Z+\-]|Z{stream}|[+\-]{offset})"
    fraction = rf"(?:[^0-9]|[0-9]{{1,9}}{zone}|[0-9]{{10}})"
    time = [digit] * 4 + [("-", "[^-]")] + [digit] * 2 + [("-", "[^-]")] + [digit] * 2 + literal("T")
    time += [digit] * 2 + literal(":") + [digit] * 2 + literal(":") + [digit] * 2 + [(r"\.", r"[^.]")]
    # The first digit has been looked at.
    return rf"[0-9]{unlike(time[1:], fraction)}"


def _one_of(texts: Iterable[str]) -> str:
    return f"(?:{'|'.join(sorted(set(texts)))})"


def _stems(names: Iterable[str]) -> list[str]:
    """Return those that no other one begins: `err` finds `error`, too."""
    names = list(names)
    return [name for name in names if not any(name != stem and name.startswith(stem) for stem in names)]

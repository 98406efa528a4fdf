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

import re
from collections.abc import Iterable

from sidecar.core.decode.keys import scale_of
from sidecar.core.levels import ALIASES, Level, Scale, level_from_number

BOUNDED = frozenset({Level.WARN, Level.ERROR, Level.FATAL, Level.PANIC})
"""Levels whose records can be told from others by a search. Debug and info are most of what is logged: to look for
them gains nothing."""

Expression = tuple[str, bool]
"""An expression, and whether ASCII case makes no difference."""

LEVEL_KEYS = {
    # what keys end with, by whose numbers stand behind them; GELF's are syslog's whatever the key
    (Scale.PINO, Scale.SYSLOG): "(?:level|lvl|severity|severity_?text|level_?name|@l)",
    (Scale.SYSLOG,): "priority",
    (Scale.OTEL, Scale.SYSLOG): "severity_?number",
}
_QUOTE = r'\\*"'
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
SUFFIX = "(?:Error|Exception|Failure|Fault|Panic|Timeout|Interrupt|Throwable)"

ESCAPED: Expression = (r"\\u00(?:[013-7][0-9a-f]|2[0-57-9a-f]|3[0-9abdf])", True)
"""Finds an escape of what can be written without one."""

COLOUR = b"\x1b"
"""What makes a line a hit, too. To look for it by itself is faster by far."""

_OPENING = (
    r"(?:[^A-Za-z{\"]"  # a time, a bracket, white space, what is not ASCII
    r"|[A-Za-z]+(?:[0-9._/$@#=:\\\x80-\xff-]|[ \t\f\v\r]+[|-])"  # a host, a logger, a name in front of a colon
    rf"|{_MONTH} |[A-Z][a-z][a-z](?:, [0-9]| {_MONTH})|[A-Z], \[|[AP]M[^a-z]"
    rf"|[A-Z][A-Za-z]*{SUFFIX})"
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
    (r"Traceback \(most |Exception in thread |Unhandled(?:Promise| )|Uncaught |Caused by: ", False),
    (r"terminate called |libc\+\+abi|(?:\\t|\t|(?:[ \t]|\\[tn]) )(?:at|from) |\\n#[0-9]|\\ngoroutine ", False),
]
"""What makes a record without a level an error."""

_PANICS: list[Expression] = [
    (r"panic: |panic\(|panicked at |overflowed its stack|panic serving |fatal error: |goroutine ", False)
]
"""What makes it a panic."""


def of_levels(levels: frozenset[Level], key: str | None = None, *, text: bool = True) -> list[Expression]:
    """Return what finds every object's line whose record has one of these levels, all of which must be bounded ones.

    The input's `default_level` must not be among them: nothing has to be said for that. `key`: the only one that says
    an object's level. `text`: what merely looks like an object may be a line of text, which says its level itself.
    """
    if not levels:
        return []
    names = [name for name, level in ALIASES.items() if level in levels]
    stems = one_of(stems_of(names))
    if key is None:
        found = [_level_at(name, stems, levels, scales) for scales, name in LEVEL_KEYS.items()]
    else:
        name = re.escape(key.rpartition(".")[2])
        found = [_level_at(name, stems, levels, (scale_of(key),))]
        if text:
            found.append(_level_at("(?:level|lvl|severity)", stems, levels, ()))
    if text or key is None:
        found.append((rf"(?:level|lvl|severity)=(?:{_QUOTE})?{stems}", True))
    if key is not None:
        return found
    found += [
        (_MESSAGE, False),
        (rf"{one_of(name.upper() for name in stems_of(names))}", False),
    ]
    phrases = [
        *(["atal error: ", "atal runtime error: "] if Level.FATAL in levels else ()),
        *(["PHP Parse error: ", "PHP Recoverable fatal error: "] if Level.ERROR in levels else ()),
        *(["PHP Warning: "] if Level.WARN in levels else ()),
    ]
    if phrases:
        found.append((one_of(phrases), False))
    if Level.ERROR in levels or Level.PANIC in levels:
        found += _PANICS
    if Level.ERROR in levels:
        found += _ERRORS
    return found


def _level_at(name: str, stems: str, levels: frozenset[Level], scales: Iterable[Scale]) -> Expression:
    """Return what finds a key and behind it one of some levels, or what may be read as one."""
    number = number_of(levels, scales)
    quoted = rf"{_QUOTE}(?:[^A-Za-z0-9\"]|{stems}|{number})"
    return rf"{name}\\*\"(?:[^:]|:(?: ?{quoted}| ?{number}| ?[^ \"\\A-Za-z0-9]|  | ?\\+[^\"\\]))", True


def number_of(levels: frozenset[Level], scales: Iterable[Scale]) -> str:
    """Return what matches the beginning of a number that may stand for one of some levels."""
    numbers = [str(n) for n in range(100) if {level_from_number(n, scale) for scale in scales} & levels]
    return rf"(?:[0-9]+[.e]|0[0-9]{''.join(['|', one_of(numbers), '[^0-9]'] if numbers else [])})"


# ── lines that the lines around them may belong to ────────────────────────────────────────────────────────────────────


TEXT: list[Expression] = [
    (r":[0-9]+:in ", False),
    (r"\.[cm]?[jt]sx?:[0-9]+(?:[\s\x80-\xff]|\\+[trnf])*(?:\\+n\"|\n)", False),
    (r"node:[^\s\"]+:[0-9]+(?:[\s\x80-\xff]|\\+[trnf])*(?:\\+n\"|\n)", False),
]
"""Find text that looks like an object but is a frame of Ruby's, or the source line that Node prints."""

DOCKER_MEMBER: Expression = (r"\"stream\"", False)
"""Finds every line of Docker's."""


def of_docker() -> list[Expression]:
    """Return what finds lines that Docker wrapped around anything but a whole object, or did not write as it does."""
    return [
        # what was logged does not begin as an object
        (r"\"log\"(?:[^:]|:[^\"]|:\"[^{])", False),
        # it does not end with a newline: the first piece of a line
        (r"(?:\\\\n\",\"|[^\\]n\",\"|[^n]\",\"|[^\"],\"|[^,]\")stream\"", False),
        # members in another order than Docker's
        (rf"\"stream\"{_not_docker()}", False),
    ]


def first_characters(*, cri: bool) -> Expression:
    """Return what finds lines that are no object, by itself or, with `cri`, wrapped whole by a Kubernetes runtime.

    A match ends behind the first character that is in the way, which may be the line's newline.
    """
    return (rf"^(?:[^{{0-9]|{_not_cri()})" if cri else r"^[^{]", False)


def _unlike(parts: Iterable[tuple[str, str]], rest: str) -> str:
    """Return what matches up to the first character that is in the way, and what comes behind all parts.

    Each part is a class of characters, and the class of all others.
    """
    for part, other in reversed(list(parts)):
        rest = rf"(?:{other}|{part}{rest})" if rest else other
    return rest


def _letters(text: str) -> list[tuple[str, str]]:
    return [(rf"[{char}]", rf"[^{char}]") for char in text]


def _not_cri() -> str:
    """Return the same for what runtimes write around an object: nanoseconds, a zone, and no tags."""
    digit = ("[0-9]", "[^0-9]")
    content = _unlike(_letters(" F {"), "")
    out, err = _unlike(_letters("ut"), content), _unlike(_letters("rr"), content)
    stream = _unlike(_letters(" std"), rf"(?:[^oe]|o{out}|e{err})")
    offset = _unlike([digit, digit, (":", "[^:]"), digit, digit], stream)
    fraction = rf"(?:[^0-9]|[0-9]{{1,9}}(?:[^0-9Z+\-]|Z{stream}|[+\-]{offset})|[0-9]{{10}})"
    # The first digit has been looked at.
    dash, colon = ("-", "[^-]"), (":", "[^:]")
    date = [*[digit] * 3, dash, *[digit] * 2, dash, *[digit] * 2, ("T", "[^T]")]
    clock = [*[digit] * 2, colon, *[digit] * 2, colon, *[digit] * 2, (r"\.", r"[^.]")]
    return f"[0-9]{_unlike([*date, *clock], fraction)}"


def _not_docker() -> str:
    """Return the same for what Docker writes behind the name of the stream."""
    time, attributes = _unlike(_letters('ime":"'), ""), _unlike(_letters('ttrs":{'), "")
    tail = _unlike(_letters('","'), rf"(?:[^ta]|t{time}|a{attributes})")
    out, err = _unlike(_letters("ut"), tail), _unlike(_letters("rr"), tail)
    return _unlike(_letters(':"std'), rf"(?:[^oe]|o{out}|e{err})")


def one_of(texts: Iterable[str]) -> str:
    """Return what matches any of some expressions."""
    return f"(?:{'|'.join(sorted(set(texts)))})"


def stems_of(names: Iterable[str]) -> list[str]:
    """Return the names that no other one begins: `err` finds `error`, too."""
    names = list(names)
    return [name for name in names if not any(name != stem and name.startswith(stem) for stem in names)]

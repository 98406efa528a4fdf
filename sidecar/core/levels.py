"""A record's severity, and what other loggers call it.

The six levels of the design, in rising order, so that "this level or above" is `>=`. Names are compared without
regard to ASCII case; numbers mean something only together with the scale of the logger that wrote them.
"""

from __future__ import annotations

import enum
import math
import re

from sidecar.core.folding import fold


class Level(enum.IntEnum):
    """Severity of a record, lowest first."""

    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3
    FATAL = 4
    PANIC = 5

    @property
    def label(self) -> str:
        """The level's name as configuration, metrics and messages write it."""
        return self.name.lower()


class Scale(enum.Enum):
    """Whose numbers a numeric level is written in."""

    PINO = "pino"
    """pino and bunyan, 10 to 60."""
    SYSLOG = "syslog"
    """0 (emergency) to 7 (debug): `priority`, GELF's `level`, the journal."""
    OTEL = "otel"
    """OpenTelemetry's severity number, 1 to 24."""


ALIASES: dict[str, Level] = {
    **dict.fromkeys(("panic", "emerg", "emergency", "dpanic", "pnc"), Level.PANIC),
    **dict.fromkeys(("fatal", "alert", "crit", "critical", "ftl"), Level.FATAL),
    **dict.fromkeys(("error", "err", "severe", "fail"), Level.ERROR),
    **dict.fromkeys(("warn", "warning", "wrn"), Level.WARN),
    **dict.fromkeys(("info", "notice", "information", "informational", "inf"), Level.INFO),
    **dict.fromkeys(
        ("debug", "trace", "verbose", "dbg", "dbug", "trc", "trce", "vrb", "fine", "finer", "finest"), Level.DEBUG
    ),
}
"""Every known name, in lower case. Beside the full names: the abbreviations that Serilog, zerolog and ASP.NET print,
and the names of java.util.logging."""

_EXACT = {spelling: level for name, level in ALIASES.items() for spelling in (name, name.upper(), name.title())}

_MAX_TEXT = 64
"""Longest text that is looked at: the longest name has 13 letters, the rest is padding, brackets and colour."""

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_WRAPPING = " \t\r\n\f\v[](){}<>:|,;\"'"
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,2})?")

_SYSLOG = (
    Level.PANIC,
    Level.FATAL,
    Level.FATAL,
    Level.ERROR,
    Level.WARN,
    Level.INFO,
    Level.INFO,
    Level.DEBUG,
)


def strip_ansi(text: str) -> str:
    """Return the text without terminal colour sequences."""
    return _ANSI.sub("", text) if "\x1b" in text else text


def level_from_text(text: str) -> Level | None:
    """Return the level a name stands for: any ASCII case, padded, bracketed or coloured; None if it is no level."""
    level = _EXACT.get(text)
    if level is not None or len(text) > _MAX_TEXT:
        return level
    return ALIASES.get(fold(strip_ansi(text).strip(_WRAPPING)))


def level_from_number(number: float, scale: Scale) -> Level | None:
    """Return the level of a number on a scale, None outside it. Steps between pino's tens count as the lower one."""
    if not 0 <= number < 100:  # also refuses NaN, and keeps huge integers away from floats
        return None
    step = math.floor(number)
    if scale is Scale.SYSLOG:
        return _SYSLOG[step] if 0 <= step <= 7 else None
    if scale is Scale.OTEL:
        # Four steps each: trace, debug, info, warn, error, fatal.
        return Level(max(0, (step - 1) // 4 - 1)) if 1 <= step <= 24 else None
    # Tens: trace, debug, info, warn, error, fatal.
    return Level(max(0, step // 10 - 2)) if 10 <= step <= 60 else None


def level_from_value(value: object, scale: Scale = Scale.PINO) -> Level | None:
    """Return the level of a decoded field: a name, a number, or a number written as text; None if it is neither."""
    if type(value) is str:
        level = level_from_text(value)
        if level is None and len(value) <= _MAX_TEXT and (number := _NUMBER.fullmatch(value.strip(_WRAPPING))):
            level = level_from_number(float(number[0]), scale)
        return level
    if type(value) is int or type(value) is float:
        return level_from_number(value, scale)
    return None

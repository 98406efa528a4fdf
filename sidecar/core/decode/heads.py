"""Finds what stands before the message of a text log line: time, level, host and service, thread and logger.

Formats are as many as loggers, so this looks for the parts, not for whole layouts: a time at the beginning, then a
level where loggers put one (or the other way round), then brackets and names that belong to neither. A level is a word
in capitals among the first few, in brackets, right behind the time, in front of a colon at the beginning, or named
`level=`; words of the message itself ("no error found") are none.
"""

from __future__ import annotations

import re

import msgspec

from sidecar.core.decode.base import UNTIMED
from sidecar.core.error_type import is_error_name
from sidecar.core.levels import ALIASES, Level, Scale, level_from_number, level_from_text
from sidecar.core.timestamps import Prefix, TimeReader

MAX_PREFIX = 256
"""Characters at the beginning of a line in which its level is looked for."""

_MAX_WORDS = 8
"""Words and brackets before the level: host, process, thread, logger, a correlation id or two."""


class Head(msgspec.Struct, kw_only=True, gc=False):
    """The parts of a line."""

    time: int = UNTIMED
    zoneless: bool = False
    timed: bool = False
    """A time stands at the beginning, be it usable or not."""
    klog: bool = False
    """It is written as klog and glog do."""
    level: Level | None = None
    host: str | None = None
    service: str | None = None
    message: str
    fields: dict[str, object] | None = None
    """All there is in it, if it is an object."""


_PRIORITY = re.compile(r"<(1?\d{1,2})>(?:1 (?=\d{4}-))?(?=\S)", re.A)
"""Syslog's facility and level, as on the wire."""

_LABEL = re.compile(r"(?:time|ts|timestamp|t)=\"?")
_CLOCK = re.compile(r"\d\d:\d\d:\d\d(?:[.,]\d+)?(?!\d)")
_ACCESS_LOG = re.compile(r"\S{1,256} \S{1,64} \S{1,256} \[(?=\d\d/)")
_SYSLOG = re.compile(r" (\S{1,255}) ([^\s:\[\]]{1,128})(\[\d+\])?: ?")
_KLOG = re.compile(r"\s+\d+ [^\]\s]{1,200}:\d+\] ?", re.A)
_KLOG_LEVELS = {"D": Level.DEBUG, "I": Level.INFO, "W": Level.WARN, "E": Level.ERROR, "F": Level.FATAL}
_RUBY = re.compile(r" ?#\d+\] +(\w+) -- (?:[^\s:]{1,128})? ?: ", re.A)
_PHP = re.compile(
    r"(?:PHP (Fatal error|Parse error|Recoverable fatal error|Warning|Notice|Deprecated)"
    r"|([Ff]atal (?:runtime )?error)): "
)
"""What PHP and the runtimes of Go and Rust call levels, in two words."""

_PHP_FPM = "NOTICE: PHP message: "
"""Before whatever PHP logs in a container."""

_PHP_LEVELS = {
    "Parse error": Level.ERROR,
    "Recoverable fatal error": Level.ERROR,
    "Warning": Level.WARN,
    "Notice": Level.INFO,
    "Deprecated": Level.INFO,
}
_BASIC = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL):([^\s:]{1,128}):(?=\S|$)")
"""Python's logging without configuration."""

_SEPARATORS = re.compile(r"[\s|,;:>\])\"-]*")
_GROUP = re.compile(r"\[([^\[\]]{0,80})\]|\(([^()]{0,80})\)|<([^<>]{0,80})>")
_OPENS_GROUP = ("[", "(", "<")
_WORD = re.compile(r"[^\s|,;\[\](){}<>\"]+")
_LEVEL_WORD = re.compile(r"([A-Za-z]{3,13})(?=[:/]|$)")
_LEVEL_NEXT = re.compile(r"\s+(?:[|-]\s+)?([A-Z]{3,13})(?:\s|:|$)")
_NAMED = re.compile(
    r"(?<![\w.?&])(?:level|lvl|severity|loglevel)=\"?([A-Za-z]{3,13})\b|\"(?:level|severity)\": ?\"(\w{3,13})\""
)
_MESSAGE = re.compile(r"(?<!\S)(?:msg|message)=(?:\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)\"|(\S+))")
_LEADING_LEVEL = re.compile(r"\[?([A-Z]{4,9})\b")
_NOT_PLAIN = re.compile(r"[0-9._/$@#=:-]")
_CHANNEL = re.compile(r"[\w-]{1,64}\.([A-Z]{4,9}):$", re.A)
"""Monolog: production.ERROR: message"""

_OPENING = re.compile(r"[\s|>\])-]*[\[(]?")
"""Between a level and a time behind it. A colon is not among them: behind one, a time is part of a message."""

_NAME_ENDS = re.compile(r"\s+(?:[|-])\s")

_CASUAL = frozenset(
    {"debug", "trace", "info", "notice", "warn", "warning", "err", "error", "critical", "fatal", "panic"}
)
"""Levels that count in any case right behind a time. Other names of levels begin sentences too: "Alert sent"."""

_AFTER_LEVEL = re.compile(r"(?:\s*[:|\]>)\"]|\s+-{1,3}(?=\s)|\s+)*")
_NOISE = re.compile(
    r"\[(?:[\w.$:/@#=+<>*,-]{0,80}|(?:pid|tid|client|thread|remote) [^\]]{0,80}|[^\]]{0,80}thread[^\]]{0,80})\]"
    r"(?:\s*\([^()]{0,80}\))?[\s:|-]*"
    r"|[\w.:$/-]{1,80}\] |\d+ --- |\d+#\d+: (?:\*\d+ )?",
    re.A,
)
_LOGGER = re.compile(
    r"([A-Za-z_$][\w$@/<>]*(?:[.:]{1,2}[\w$@/<>-]+)*)(?:\(\))?(?::\d+)?\s+(?:--?|:)\s+"  # com.foo.Bar - message
    r"|([\w$]+(?:(?:\.|::)[\w$<>]+)+)(?::\d+)?: "  # dfs.DataNode: message, my_crate::db: message, main.go:12: message
    r"|in \w+: ",  # Flask
    re.A,
)


def read_head(line: str, times: TimeReader, arrival: int) -> Head:
    """Return the parts of a line without colours; `arrival` (nanoseconds) settles the year of times without one."""
    text = line.strip().removeprefix(_PHP_FPM)
    priority = _PRIORITY.match(text) if text[:1] == "<" else None
    if priority is None:
        return _read(text, times, arrival, after_syslog=False)
    head = _read(text[priority.end() :], times, arrival, after_syslog=False)
    if head.level is None:
        head.level = level_from_number(int(priority[1]) & 7, Scale.SYSLOG)
    return head


def begins_with_time(text: str, times: TimeReader, arrival: int) -> bool:
    """Say whether a text begins with a time, bare or in brackets."""
    return times.read_prefix(text, 1 if text[:1] in ("[", "<") else 0, arrival) is not None


def begins_with_level(text: str) -> bool:
    """Say whether a text begins with a level in capitals, bare or in brackets."""
    level = _LEADING_LEVEL.match(text)
    return level is not None and level_from_text(level[1]) is not None


def _read(text: str, times: TimeReader, arrival: int, *, after_syslog: bool) -> Head:
    start = 0
    if text[:1] in ("[", "(", "<"):
        start = 1
    elif text[1:4] == ", [":
        start = 4  # Ruby: E, [2026-01-02T03:04:05.123456 #1234] ERROR -- name: message
    elif label := _LABEL.match(text):
        start = label.end()
    prefix = times.read_prefix(text, start, arrival)
    if prefix is None:
        if clock := _CLOCK.match(text, start):
            # A time of day alone is no usable time, but levels stand behind it as behind any other.
            return _finish(text, Head(timed=True, message=text), *_find_level(text, clock.end(), timed=True))
        if not after_syslog and " [" in text and (request := _ACCESS_LOG.match(text)):
            prefix = times.read_prefix(text, request.end(), arrival)
            if prefix is not None:
                return Head(time=_or_untimed(prefix[0]), zoneless=prefix[1], timed=True, message=text)
        return _untimed(text, times, arrival)
    time, zoneless, end = prefix
    head = Head(time=_or_untimed(time), zoneless=zoneless, timed=True, message=text)
    tag = _SYSLOG.match(text, end) if start == 0 and not after_syslog else None
    # In the traditional form every line has host and program; elsewhere only a process id tells them from a message.
    if tag and (text[:2].isalpha() or tag[3]):
        inner = _read(text[tag.end() :].strip(), times, arrival, after_syslog=True)
        if inner.time != UNTIMED:
            head.time, head.zoneless = inner.time, inner.zoneless
        head.host, head.service = tag[1], tag[2]
        head.level, head.message = inner.level, inner.message
        return head
    if start == 0 and (tail := _KLOG.match(text, end)) and text[0] in _KLOG_LEVELS and text[1].isdigit():
        head.level, head.message, head.klog = _KLOG_LEVELS[text[0]], text[tail.end() :], True
        return head
    if start == 4 and (tail := _RUBY.match(text, end)):
        head.level, head.message = level_from_text(tail[1]), text[tail.end() :]
        return head
    return _finish(text, head, *_find_level(text, end, timed=True))


def _or_untimed(time: int | None) -> int:
    return UNTIMED if time is None else time


def _untimed(text: str, times: TimeReader, arrival: int) -> Head:
    """Read a text that does not begin with a time."""
    basic = _BASIC.match(text)
    if basic and not is_error_name(basic[2]):
        return Head(level=level_from_text(basic[1]), message=text[basic.end() :])
    head = Head(message=text)
    level, at = _find_level(text, 0, timed=False)
    if level is not None and (prefix := _time_behind_level(text, at, times, arrival)):
        head.time, head.zoneless, at = _or_untimed(prefix[0]), prefix[1], prefix[2]
        head.timed = True
    return _finish(text, head, level, at)


def _time_behind_level(text: str, at: int, times: TimeReader, arrival: int) -> Prefix | None:
    """Return the time of `ERROR 2026-01-02 03:04:05 message` and `ERROR [thread] 2026-01-02 03:04:05 message`."""
    for _ in range(2):
        start = _OPENING.match(text, at, at + MAX_PREFIX).end()  # type: ignore[union-attr]
        prefix = times.read_prefix(text, start, arrival)
        if prefix is not None and ":" in text[start : prefix[2]]:
            return prefix
        thread = _GROUP.match(text, start - 1)
        if thread is None:
            return None
        at = thread.end()
    return None


def _finish(text: str, head: Head, level: Level | None, at: int) -> Head:
    """Complete a head whose level, if it has one, ends at `at`; else its message begins there."""
    if level is None and (php := _PHP.match(text, at)):
        head.level, head.message = _PHP_LEVELS.get(php[1], Level.FATAL), text[at:]
    elif level is None and (named := _named_level(text)) is not None:
        head.level, head.message = named, _named_message(text)
    elif level is not None and (written := _search_named(text, at)) and written.end() == at:
        head.level, head.message = level, _named_message(text)
    elif level is not None or head.timed:
        head.level, head.message = level, text[_skip_names(text, at) :]
    return head


def _named_level(text: str) -> Level | None:
    found = _search_named(text, MAX_PREFIX * 2)
    return level_from_text(found[1] or found[2]) if found else None


def _search_named(text: str, end: int) -> re.Match[str] | None:
    begin = text[:end]
    return _NAMED.search(begin) if "=" in begin or '":' in begin else None


def _named_message(text: str) -> str:
    """Return the message of a line in key=value form, else the line."""
    found = _MESSAGE.search(text)
    if found is None:
        return text
    return found[1].replace('\\"', '"') if found[1] is not None else found[2]


def _find_level(text: str, begin: int, *, timed: bool) -> tuple[Level | None, int]:
    """Return the level that stands before the message and where it ends; without one, where the message begins."""
    stop = begin + MAX_PREFIX
    message = at = _SEPARATORS.match(text, begin, stop).end() if timed else 0  # type: ignore[union-attr]
    if text.startswith("panic: ", at):
        return None, at  # Go's runtime; the level follows from it
    for position in range(_MAX_WORDS):
        level: Level | None = None
        if text[at : at + 1] in _OPENS_GROUP and (group := _GROUP.match(text, at, stop)):
            level = _level_in_group(group[1] or group[2] or group[3] or "")
            end = group.end()
        elif word := _WORD.match(text, at, stop):
            end = word.end()
            level, end = _level_in_word(text, word, first=position == 0, timed=timed)
            if level is None and not _may_precede_level(text, word, first=position == 0):
                break
        else:
            break
        if level is not None:
            return level, end
        at = _SEPARATORS.match(text, end, stop).end()  # type: ignore[union-attr]
    return None, message


def _level_in_group(content: str) -> Level | None:
    """Return the level in brackets: alone, behind Apache's module, or before Celery's process."""
    level = level_from_text(content)
    if level is None and (":" in content or "/" in content) and " " not in content:
        level = level_from_text(content.rpartition(":")[2]) or level_from_text(content.partition("/")[0])
    return level


def _level_in_word(text: str, word: re.Match[str], *, first: bool, timed: bool) -> tuple[Level | None, int]:
    written = word[0]
    if timed and written[-1] == ":" and (channel := _CHANNEL.match(written)):
        level = level_from_text(channel[1])
        if level is not None:
            return level, word.end() - 1
    name = _LEVEL_WORD.match(written)
    level = ALIASES.get(name[1].lower()) if name else None
    if name is None or level is None:
        named = _NAMED.match(text, word.start()) if "=" in written else None
        return (level_from_text(named[1]), named.end()) if named and named[1] else (None, word.end())
    end = word.start() + name.end()
    colon = text.startswith(":", end)
    if name[1].isupper() or (first and (colon or (timed and name[1].lower() in _CASUAL))):
        return level, word.end() if text.startswith("/", end) else end
    return None, word.end()


def _may_precede_level(text: str, word: re.Match[str], *, first: bool) -> bool:
    """Say whether a word may be of a time, a host, process, thread or logger rather than begin the message."""
    if _NOT_PLAIN.search(word[0]) or word[0] in ("AM", "PM") or _NAME_ENDS.match(text, word.end()):
        return True
    following = _LEVEL_NEXT.match(text, word.end()) if first else None
    return following is not None and following[1].lower() in ALIASES


def _skip_names(text: str, at: int) -> int:
    """Return where the message begins behind separators, brackets and a logger's name."""
    stop = at + MAX_PREFIX
    at = _AFTER_LEVEL.match(text, at, stop).end()  # type: ignore[union-attr]
    named = False
    for _ in range(_MAX_WORDS):
        noise = _NOISE.match(text, at, stop) if "]" in text[at:stop] or text[at : at + 1].isdigit() else None
        if noise is None or noise.end() >= len(text):
            break
        at = noise.end()
        named = True
    logger = _LOGGER.match(text, at, stop)
    if logger is None:
        return at
    name = logger[1] or logger[2] or ""
    if is_error_name(name) or (logger[1] and not named and not _NOT_PLAIN.search(name)):
        return at
    return logger.end()

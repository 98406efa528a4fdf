"""Says where each part of a decoded record comes from: which key, which text, or what stands in for what is missing.

The decoders do not keep this; keeping it would cost every record what one explanation needs. It is found afterwards,
with the decoders' own lists of keys and readers: the first key that gives the value which the record has. What no key
gives came from the text of the line.

Invariant: a part is said to come from a key only if reading that key gives the part's very value.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.bounds import MAX_MESSAGE, MAX_NAME
from sidecar.core.decode.heads import read_head
from sidecar.core.decode.keys import Candidate, Plan, plan_with_level
from sidecar.core.decode.surroundings import text_of, value_at
from sidecar.core.error_type import read_stack
from sidecar.core.fields import as_text
from sidecar.core.incidents import clean
from sidecar.core.levels import Level, Scale, level_from_value
from sidecar.core.records import Record
from sidecar.core.redact_base import Step
from sidecar.core.texts import rfc3339
from sidecar.core.timestamps import TimeReader

TEXT = "the text of the line"
TRACE = "the stack trace"
NO_TIME = "no time of its own: that of the record before it, else its arrival"
DEFAULT = "no level of its own: the input's default_level"
IMPLIED = "no level of its own: it has an error type or a stack trace"

JOURNAL_TIME = ("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP")
"""Microseconds."""


class Part(msgspec.Struct, frozen=True):
    """A part of a record, for people: redacted and bounded."""

    field: str
    value: str
    origin: str
    """The key, with dots where it is nested; or what else."""


def parts_of(
    record: Record, options: DecodeOptions, own: Step | None, *, timed: bool, defaulted: bool, arrival: int
) -> list[Part]:
    """Return all parts that a record has. `own`: what is redacted besides the usual.

    `timed`, `defaulted`: it says its time; its level is the input's default.
    """
    fields = dict(record.fields)
    plan = plan_with_level(fields, options.level_key)
    times = TimeReader(options.timezone)
    found = [
        Part("time", rfc3339(record.time), _time_origin(record, fields, plan, times, arrival) if timed else NO_TIME),
        Part(
            "level", record.level.label, DEFAULT if defaulted else _level_origin(record, fields, plan, times, arrival)
        ),
    ]
    texts: Iterable[tuple[str, str | None, tuple[Candidate, ...], int]] = (
        ("message", record.message, plan.message, MAX_MESSAGE),
        ("service", record.service, plan.service, MAX_NAME),
        ("host", record.host, plan.host, MAX_NAME),
        ("environment", record.environment, plan.environment, MAX_NAME),
        ("namespace", record.namespace, plan.namespace, MAX_NAME),
        ("trace_id", record.trace_id, plan.trace_id, MAX_NAME),
    )
    for name, value, candidates, limit in texts:
        if value:
            key = next((key for key in candidates if text_of(_at(fields, key), limit) == value), None)
            found.append(Part(name, clean(value, own), TEXT if key is None else _name(key)))
    if record.error_type:
        found.append(Part("error_type", clean(record.error_type, own), _type_origin(record, fields, plan)))
    if record.root_cause:
        found.append(Part("root_cause", clean(record.root_cause, own), TRACE))
    if record.stack:
        lines = record.stack.count("\n") + 1
        found.append(Part("stack", f"{lines} lines", _stack_origin(record.stack, fields, plan)))
    return found


def _time_origin(record: Record, fields: dict[str, object], plan: Plan, times: TimeReader, arrival: int) -> str:
    for candidate in plan.time:
        reading = times.read_value(_at(fields, candidate), arrival)
        if reading is not None and reading[0] == record.time:
            return _name(candidate)
    return next((key for key in JOURNAL_TIME if str(fields.get(key)) == str(record.time // 1_000)), TEXT)


def _level_origin(record: Record, fields: dict[str, object], plan: Plan, times: TimeReader, arrival: int) -> str:
    for key, rest, scale in plan.level:
        value = _at(fields, (key, rest))
        scales = (scale, Scale.SYSLOG) if plan.gelf_version is not None else (scale,)
        if record.level in (level_from_value(value, one) for one in scales):
            return _name((key, rest))
    texts = (record.line.partition("\n")[0], record.message.partition("\n")[0])
    if record.level in (read_head(text, times, arrival).level for text in texts):
        return TEXT
    return IMPLIED if record.level in (Level.ERROR, Level.PANIC) and (record.error_type or record.stack) else TEXT


def _type_origin(record: Record, fields: dict[str, object], plan: Plan) -> str:
    for candidate in plan.error_type:
        if text_of(_at(fields, candidate), MAX_NAME) == record.error_type:
            return _name(candidate)
    if record.stack and read_stack(record.stack).error_type == record.error_type:
        return TRACE
    return "the message"


def _stack_origin(stack: str, fields: dict[str, object], plan: Plan) -> str:
    for candidate in (*plan.stack, *plan.error):
        value = _at(fields, candidate)
        text = "\n".join(map(as_text, value)) if isinstance(value, list) else value
        if isinstance(text, str) and text and text.startswith(stack[:200]):
            return _name(candidate)
    return TEXT


def _at(fields: dict[str, object], candidate: Candidate) -> object:
    return value_at(fields, *candidate)


def _name(candidate: Candidate) -> str:
    key, rest = candidate
    return key if rest is None else f"{key}.{rest}"

"""Turns a decoded object, whatever format it came in, into a draft of a record.

Precedence, from what the object says outright to what can be told from its texts: a value from the key lists; what the
stack trace says; what the message begins with, which in a shipper's object around a text log's line is a time and a
level. A value that cannot be what its key promises (a level that is no level, a date that is none, an empty text)
counts as absent, and the next key of the list gets its turn.
"""

from __future__ import annotations

from sidecar.core.decode.base import UNTIMED, Decoded, DecodeOptions, Rejected
from sidecar.core.decode.bounds import MAX_MESSAGE, MAX_NAME, clip_line, clip_stack
from sidecar.core.decode.glance import BEGINS_OBJECT, Glancer
from sidecar.core.decode.heads import Head, read_head
from sidecar.core.decode.json_object import Fields, read_object
from sidecar.core.decode.keys import Plan, plan_of, scale_of
from sidecar.core.decode.surroundings import complete, first_text, merged, text_of, value_at
from sidecar.core.error_type import PANIC, Trace, holds_stack, read_stack, type_from_message, type_in_message
from sidecar.core.fields import as_text, resolve
from sidecar.core.folding import fold
from sidecar.core.levels import Level, Scale, level_from_value, strip_ansi
from sidecar.core.records import Record
from sidecar.core.timestamps import TimeReader

MAX_WRAPPINGS = 3
"""JSON inside a `log` or `message` text, again and again: a runtime's around a shipper's around the application's."""

Layer = tuple[Fields, Plan]

_MAY_BEGIN_TIME = frozenset("0123456789[(<")
_MAY_BEGIN_LINE = _MAY_BEGIN_TIME | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""What the time and the level begin with that loggers put before a message. To look for them costs as much as all else,
so where keys say what they would, it is done for errors only, whose type stands behind them."""


class ObjectReader:
    """Makes drafts of one input's objects."""

    def __init__(self, options: DecodeOptions, times: TimeReader, padding: str = "") -> None:
        """`padding`: what is no part of a record's line at its ends."""
        self._default = options.default_level
        self._padding = padding
        self._level_key = options.level_key
        self._level_scale = scale_of(options.level_key or "")
        self._times = times
        self._read_time = times.read_value
        glancer = Glancer(self, times, options.level_key)
        self.glance, self.learn = glancer.glance, glancer.learn

    def read(self, raw: bytes, arrival: int, *, cut: bool = False) -> Decoded | Rejected:
        """Return the draft of a line that should be an object, or why there is none.

        Where keys say what decides, nothing else is read until somebody asks for it.
        """
        if not cut and (decoded := self.glance(raw, arrival)) is not None:
            return decoded
        fields = read_object(raw, cut=cut)
        if isinstance(fields, Rejected):
            return fields
        self.learn(fields)
        return self.draft(fields, self._line(raw), arrival, cut=cut)

    def members(self, raw: bytes) -> Fields:
        """Return the object of a line that was glanced at."""
        fields = read_object(raw)
        assert not isinstance(fields, Rejected)
        return fields

    def whole(self, fields: Fields, raw: bytes, arrival: int) -> Record:
        """Return the draft of an object at once, as a record."""
        return self.draft(fields, self._line(raw), arrival).record

    def _line(self, raw: bytes) -> str:
        return clip_line(raw).strip(self._padding) if self._padding else clip_line(raw)

    def draft(
        self,
        fields: Fields,
        line: str,
        arrival: int,
        *,
        cut: bool = False,
        around: Fields | None = None,
        stack_behind: str | None = None,
    ) -> Decoded:
        """Return a draft; `fields` become its own.

        `line` is the record as logged, already bounded; `arrival` in nanoseconds; `cut` says that the object lacks its
        end; `around` holds fields that stand in for those that it has not got; `stack_behind` was logged behind it.
        """
        plan = plan_of(fields)
        layers = [(fields, plan)]
        if plan.wrapped:
            layers = _unwrap(fields, plan, cut, MAX_WRAPPINGS)
            if len(layers) > 1:
                fields = _merge([*(layer for layer, _ in layers), fields])
        wraps = len(layers) > 1
        if around:
            layers.append((around, plan_of(around)))

        time, zoneless = UNTIMED, False
        level: Level | None = None
        message: str | None = None
        error_type: str | None = None
        stack: str | None = None
        service: str | None = None
        host: str | None = None
        environment: str | None = None
        namespace: str | None = None
        trace_id: str | None = None
        errors: list[object] = []
        for layer, plan in layers:
            if time == UNTIMED:
                for key, rest in plan.time:
                    reading = self._read_time(layer[key] if rest is None else value_at(layer, key, rest), arrival)
                    if reading is not None:
                        time, zoneless = reading
                        break
            if level is None and self._level_key is not None:
                level = level_from_value(resolve(layer, self._level_key), self._level_scale)
            elif level is None and plan.level:
                level = _level(layer, plan)
            if message is None and plan.message:
                message = first_text(layer, plan.message, MAX_MESSAGE)
            if service is None and plan.service:
                service = first_text(layer, plan.service, MAX_NAME)
            if host is None and plan.host:
                host = first_text(layer, plan.host, MAX_NAME)
            if environment is None and plan.environment:
                environment = first_text(layer, plan.environment, MAX_NAME)
            if namespace is None and plan.namespace:
                namespace = first_text(layer, plan.namespace, MAX_NAME)
            if trace_id is None and plan.trace_id:
                trace_id = first_text(layer, plan.trace_id, MAX_NAME)
            if error_type is None and plan.error_type:
                error_type = first_text(layer, plan.error_type, MAX_NAME)
            if stack is None and plan.stack:
                stack = _stack(layer, plan)
            if plan.error:
                errors += [layer[key] for key, rest in plan.error if rest is None]

        if level is None and self._level_key is not None:
            level = self._default
        # From here on: what the texts tell.
        stack = stack or stack_behind
        error_text: str | None = None
        for error in errors:
            if isinstance(error, list) and error and isinstance(error[0], dict):
                # structlog's rendering of a traceback: one object for each exception, the last raised first
                error_type = error_type or text_of(resolve(error[0], "exc_type"), MAX_NAME)
                error_text = error_text or text_of(resolve(error[0], "exc_value"), MAX_MESSAGE)
            elif isinstance(error, str) and error:
                if stack is None and "\n" in error and read_stack(error).error_type is not None:
                    stack = error
                error_text = error_text or error[:MAX_MESSAGE]
        if message is not None and "\n" in message:
            message = message.strip("\r\n") or None
        text = message
        headed = False  # whether the message begins as the line of a text log does
        if message is not None and (
            level is None
            or (time == UNTIMED and message[0] in _MAY_BEGIN_TIME)
            or (error_type is None and level > Level.INFO and message[0] in _MAY_BEGIN_LINE)
        ):
            head, text = self._read_text(message, arrival)
            headed = head.timed or head.level is not None
            if level is None:
                level = head.level
            if time == UNTIMED:
                time, zoneless = head.time, head.zoneless
        if stack is None and text is not None and "\n" in text and holds_stack(text):
            stack = text
        trace: Trace | None = None
        told: str | None = None
        if stack is not None:
            trace = read_stack(stack)
            told = trace.error_type
        if told is None and text is not None:
            told = type_from_message(text)
            if told is None and headed and level is not None:
                told = type_in_message(text)
        if told is None and error_text is not None:
            told = type_from_message(error_text)
        if message is None:
            message = _message_without_key(layers, error_text, trace, wraps=wraps)
        if error_type is None:
            error_type = told
        if level is None:
            if told == PANIC:
                level = Level.PANIC
            else:
                level = self._default if error_type is None and stack is None else Level.ERROR
        return Decoded(
            Record(
                time=time,
                level=level,
                message=message,
                error_type=error_type,
                root_cause=trace.root_cause if trace is not None else None,
                stack=stack if stack is None else clip_stack(stack),
                service=service,
                host=host,
                environment=environment,
                namespace=namespace,
                trace_id=trace_id,
                fields=merged(fields, around) if around else fields,
                line=line,
            ),
            arrival=arrival,
            zoneless=zoneless,
        )

    def head(self, fields: Fields) -> Head:
        """Return what of an object decides whether what comes behind it belongs to it."""
        plan = plan_of(fields)
        message = first_text(fields, plan.message, MAX_MESSAGE) or ""
        return Head(level=_level(fields, plan), timed=bool(plan.time), message=message, fields=fields)

    def complete(self, decoded: Decoded, around: Fields) -> None:
        """Fill a draft's gaps with fields of what it was wrapped in."""
        record = decoded.record
        if record.time == UNTIMED:
            for key, rest in plan_of(around).time:
                reading = self._read_time(value_at(around, key, rest), decoded.arrival)
                if reading is not None:
                    record.time, decoded.zoneless = reading
                    break
        complete(record, around)

    def _read_text(self, message: str, arrival: int) -> tuple[Head, str]:
        """Read a message as the line of a text log; return its first line's parts, and it without a prefix."""
        message = strip_ansi(message)
        first = message.partition("\n")[0]
        head = read_head(first, self._times, arrival)
        return head, head.message + message[len(first) :]


def _level(fields: Fields, plan: Plan) -> Level | None:
    gelf = plan.gelf_version is not None and str(fields[plan.gelf_version]).startswith("1.")
    for key, rest, scale in plan.level:
        value = fields[key] if rest is None else value_at(fields, key, rest)
        level = level_from_value(value, Scale.SYSLOG if gelf else scale)
        if level is not None:
            return level
    return None


def _stack(fields: Fields, plan: Plan) -> str | None:
    """Return the first stack trace: a list of lines, or a text that has several or names an error type."""
    for key, rest in plan.stack:
        value = value_at(fields, key, rest)
        if isinstance(value, list) and value:
            return "\n".join(map(as_text, value))
        if isinstance(value, str) and ("\n" in value.strip() or read_stack(value).error_type is not None):
            return value
    return None


def _message_without_key(layers: list[Layer], error_text: str | None, trace: Trace | None, *, wraps: bool) -> str:
    """Return the best there is for a record that no key gives a message."""
    for layer, plan in layers:
        if plan.error_message and (text := first_text(layer, plan.error_message, MAX_MESSAGE)):
            return text
    if error_text or trace:
        return error_text or (trace.headline[:MAX_MESSAGE] if trace else "")
    for layer, plan in layers:
        for key, rest in plan.message:
            value = value_at(layer, key, rest)
            if isinstance(value, dict | list) and value:
                return as_text(value)[:MAX_MESSAGE]
    return as_text(layers[0][0])[:MAX_MESSAGE] if wraps else ""


def _unwrap(fields: Fields, plan: Plan, cut: bool, depth: int) -> list[Layer]:
    """Return the objects that `log` and `message` texts hold, what those hold in turn, …, and the object itself."""
    for key in plan.wrapped if depth else ():
        text = fields[key]
        if not isinstance(text, str) or text[:1] not in BEGINS_OBJECT:
            continue
        text = text.strip()
        whole = text.endswith("}")
        if not text.startswith("{") or not (whole or cut):
            continue
        inner = read_object(text, cut=not whole)
        if isinstance(inner, dict) and inner:
            rest = {name: value for name, value in fields.items() if name != key}
            return [*_unwrap(inner, plan_of(inner), cut, depth - 1), *_unwrap(rest, plan_of(rest), cut, depth - 1)]
    return [(fields, plan)]


def _merge(layers: list[Fields]) -> Fields:
    """Return one object of all layers, where an inner key hides outer ones that differ from it in case only."""
    merged: Fields = {}
    seen: set[str] = set()
    for layer in layers:
        merged.update((key, value) for key, value in layer.items() if fold(key) not in seen)
        seen.update(map(fold, layer))
    return merged

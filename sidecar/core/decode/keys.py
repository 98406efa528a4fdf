"""Where decoded objects keep time, level, message and the rest: the key lists, and the plan for an object's shape.

Keys are looked up flat with dots or nested, in any ASCII case, and the first of the list that hits wins. Going through
all lists for every record would cost more than parsing it, so the outcome is planned once for all objects with the same
keys: what remains for each record is to fetch the values.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sidecar.core.fields import MAX_SHAPE_KEYS, MAX_SHAPE_LENGTH, MAX_SHAPES, Shape, shape_of, spellings
from sidecar.core.folding import fold
from sidecar.core.levels import Scale

TIME = ("timestamp", "time", "ts", "@timestamp", "date", "datetime", "asctime", "eventTime", "@t", "timeUnixNano")
LEVEL = (
    *("level", "lvl", "severity", "severityText", "severity_text", "log.level", "loglevel", "log_level"),
    *("levelname", "level_name", "priority", "@l", "PRIORITY", "severityNumber", "severity_number"),
)
MESSAGE = ("message", "msg", "log", "short_message", "text", "event", "body", "@m", "MESSAGE")
ERROR_TYPE = (
    *("error.type", "error_type", "errorType", "exception.type", "exc_type", "exception.class", "err.type"),
    *("error.name", "error.kind", "error.class"),
)
STACK = (
    *("error.stack_trace", "error.stack", "stack_trace", "stacktrace", "stack", "exception.stacktrace", "err.stack"),
    *("exc_info", "traceback", "full_message", "@x"),
)
SERVICE = (
    *("service.name", "service", "service_name", "app", "application", "kubernetes.labels.app.kubernetes.io/name"),
    *("kubernetes.labels.app", "kubernetes.container_name", "container_name", "_SYSTEMD_UNIT"),
)
HOST = ("host.name", "host", "hostname", "node", "kubernetes.host", "_HOSTNAME")
ENVIRONMENT = ("environment", "env", "deployment.environment", "deployment.environment.name")
NAMESPACE = (
    *("namespace", "kubernetes.namespace_name", "k8s.namespace.name", "kubernetes.namespace"),
    *("kubernetes.namespace.name", "namespace_name"),
)
TRACE_ID = ("trace_id", "traceId", "trace.id")
ERROR = ("error", "err", "exception")
"""An error as a whole: an object with type, message and stack, or a text."""
ERROR_MESSAGE = ("error.message", "err.message", "exception.message")
WRAPPED = ("log", "message")
"""Texts that may hold a whole JSON record."""

_SCALES = {
    "priority": Scale.SYSLOG,
    "severitynumber": Scale.OTEL,
    "severity_number": Scale.OTEL,
}

Candidate = tuple[str, str | None]
"""A key of the object, and the name inside its value, or None for the value itself."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Where objects of one shape may hold what, most wanted first."""

    time: tuple[Candidate, ...]
    level: tuple[tuple[str, str | None, Scale], ...]
    message: tuple[Candidate, ...]
    error_type: tuple[Candidate, ...]
    stack: tuple[Candidate, ...]
    service: tuple[Candidate, ...]
    host: tuple[Candidate, ...]
    environment: tuple[Candidate, ...]
    namespace: tuple[Candidate, ...]
    trace_id: tuple[Candidate, ...]
    error: tuple[Candidate, ...]
    error_message: tuple[Candidate, ...]
    wrapped: tuple[str, ...]
    gelf_version: str | None
    """The key that says that numeric levels are GELF's."""


_plans: dict[tuple[str, ...], Plan] = {}


def plan_of(fields: Mapping[str, object]) -> Plan:
    """Return the plan for an object's shape."""
    keys = tuple(fields)
    plan = _plans.get(keys)
    if plan is None:
        plan = _make_plan(shape_of(fields))
        if len(keys) <= MAX_SHAPE_KEYS and sum(map(len, keys)) <= MAX_SHAPE_LENGTH:
            if len(_plans) >= MAX_SHAPES:
                _plans.clear()
            _plans[keys] = plan
    return plan


def plan_with_level(fields: Mapping[str, object], key: str | None) -> Plan:
    """Return the plan for an object of which only one key says the level; None: any of `LEVEL` does. Made each time."""
    plan = plan_of(fields)
    if key is None:
        return plan
    places = _candidates(shape_of(fields), (key,))
    return msgspec.structs.replace(plan, level=tuple((place, rest, scale_of(key)) for place, rest in places))


def scale_of(name: str) -> Scale:
    """Return whose numbers a level under a name is written in."""
    return _SCALES.get(fold(name), Scale.PINO)


def _make_plan(shape: Shape) -> Plan:
    return Plan(
        time=_candidates(shape, TIME),
        level=tuple((key, rest, scale_of(name)) for name in LEVEL for key, rest in _candidates(shape, (name,))),
        message=_candidates(shape, MESSAGE),
        error_type=_candidates(shape, ERROR_TYPE),
        stack=_candidates(shape, STACK),
        service=_candidates(shape, SERVICE),
        host=_candidates(shape, HOST),
        environment=_candidates(shape, ENVIRONMENT),
        namespace=_candidates(shape, NAMESPACE),
        trace_id=_candidates(shape, TRACE_ID),
        error=_candidates(shape, ERROR),
        error_message=_candidates(shape, ERROR_MESSAGE),
        wrapped=tuple(key for key, rest in _candidates(shape, WRAPPED) if rest is None),
        gelf_version=shape["version"][0] if "version" in shape and "short_message" in shape else None,
    )


def _candidates(shape: Shape, names: tuple[str, ...]) -> tuple[Candidate, ...]:
    found: dict[Candidate, None] = {}
    for name in names:
        folded = fold(name)
        found.update(dict.fromkeys((key, None) for key in spellings(shape, folded, name)))
        dot = folded.rfind(".")
        while dot > 0:
            found.update(((key, name[dot + 1 :]), None) for key in spellings(shape, folded[:dot], name[:dot]))
            dot = folded.rfind(".", 0, dot)
    return tuple(found)

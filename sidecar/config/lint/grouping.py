"""Grouping by what is different in every record.

Each record is then a group of its own: a threshold is never reached in any of them, and without one every record opens
an incident. After `max_groups` all that is new counts together, which nobody has asked for either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sidecar.config.codes import Code
from sidecar.config.problems import Place, Problem, listed
from sidecar.config.rules import Built
from sidecar.core.folding import fold

_UNIQUE = frozenset(
    {
        "message", "msg", "log", "body", "stack", "stacktrace", "traceback",
        "time", "timestamp", "ts", "datetime", "asctime", "timeunixnano",
        "traceid", "spanid", "requestid", "reqid", "xrequestid", "correlationid", "transactionid", "eventid",
        "messageid", "recordid", "insertid", "nonce", "offset", "latency", "duration", "elapsed",
    }
)  # fmt: skip
"""Names without regard to case and punctuation."""

_PARTS = re.compile(r"[a-z0-9]+")
_UNIQUE_ENDS = ("uuid", "guid", "ulid", "timestamp")


def check_groups(built: Built) -> Iterator[Problem]:
    """Yield what is wrong with what a rule counts by."""
    rule, source, place = built.rule, built.entry.source, built.entry.place
    names = [name for name in rule.group_by if is_unique(name)]
    if not names:
        return
    own: Place = (*place, "group_by")
    if rule.threshold is not None and rule.threshold > 1:
        effect = f"so none reaches the threshold of {rule.threshold}"
    else:
        effect = "so each opens an incident"
    yield source.warned(
        own if source.has(own) else place,
        f"groups by {listed(names)}, which is different in nearly every record, {effect}. Group by what records of one "
        "trouble have in common, such as `service`; for messages that differ in numbers only there is "
        "`grouping: {type: intelligent}`",
        Code.GROUPED_BY_RECORD,
    )


def is_unique(field: str) -> bool:
    """Whether a field's name says that hardly two records have the same value."""
    parts = _PARTS.findall(fold(field))
    if not parts:
        return False
    nested = "".join(_PARTS.findall(fold(field.rpartition(".")[2])))
    return parts[-1].endswith(_UNIQUE_ENDS) or not _UNIQUE.isdisjoint({"".join(parts), "".join(parts[-2:]), nested})

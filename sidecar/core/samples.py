"""Shows more than the last match of a run that breached: the ones before it that arrived in the same batch.

A window keeps times, not records: lines of every match that may one day be part of a breach would take gigabytes. What
came in one batch is at hand anyway, and a spike mostly does. So counting costs nothing more, and only who opens an
incident that is told of looks back, over a bounded number of matches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from itertools import islice

from sidecar.core.incidents import MAX_SAMPLES, Incident
from sidecar.core.match import Match
from sidecar.core.redact_base import Step

MAX_LOOKED_BACK = 1_000
"""Matches of a batch: about as many as a block of 256 KiB holds. An incident that is opened further behind, as in a
request with a million matches, shows its last one alone; each look back over more would cost as much as all judging."""


def add_earlier(incident: Incident, match: Match, batch: Collection[Match], number: int, own: Step | None) -> None:
    """Add the lines of the latest matches of the incident's run before `match`, which is the batch's `number`th.

    `own`: what is redacted besides the usual.
    """
    if incident.threshold is None or incident.folded_into is not None or number > MAX_LOOKED_BACK:
        return
    kept = deque(
        (
            earlier
            for earlier in islice(batch, number)
            if earlier.group == match.group
            and earlier.rule == match.rule
            and not earlier.clearing
            and incident.first_seen <= earlier.time <= incident.last_seen
        ),
        maxlen=min(MAX_SAMPLES, incident.threshold) - 1,
    )
    for earlier in reversed(kept):
        incident.add_sample(earlier, own)

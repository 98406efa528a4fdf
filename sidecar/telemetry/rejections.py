"""`GET /api/v1/rejected`: the last records that could not be decoded, the newest first."""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.config.problems import listed
from sidecar.core.decode.base import Rejected
from sidecar.core.quarantine import Quarantine, RejectedRecord
from sidecar.core.texts import rfc3339
from sidecar.telemetry.api import Call, Endpoint, RefusedError

MAX_LIMIT: Final = 1000
"""Records in one answer: 1 to 6 MB, put together in a few milliseconds while nothing else happens."""


class ShownRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A rejected record in the answer."""

    id: int
    time: str
    """RFC 3339, UTC: when it was read."""
    input: str
    source: str
    reason: str
    sample: str


class RejectedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer."""

    rejected: list[ShownRecord]
    kept: int
    """How many there are altogether."""
    max: int
    """How many there can be: `quarantine_max`."""


def rejected_endpoint(quarantine: Quarantine) -> Endpoint:
    """Return the endpoint that shows what a quarantine keeps."""

    async def answer(call: Call) -> RejectedAnswer:
        limit = call.limit(MAX_LIMIT)
        reason = call.query.get("reason")
        if reason is not None and reason not in list(Rejected):
            raise RefusedError(400, f"reason: expected {listed(sorted(Rejected))}")
        records = quarantine.latest(limit, name=call.query.get("input"), reason=reason)
        return RejectedAnswer(
            rejected=[_shown(record) for record in records], kept=len(quarantine), max=quarantine.most
        )

    return Endpoint(path="rejected", answer=answer, query=("limit", "input", "reason"))


def _shown(record: RejectedRecord) -> ShownRecord:
    return ShownRecord(
        id=record.id,
        time=rfc3339(record.arrival),
        input=record.input,
        source=record.source,
        reason=record.reason,
        sample=record.sample,
    )

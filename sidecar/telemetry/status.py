"""`GET /api/v1/status` and `/api/v1/rules`: how the daemon is doing, and what its rules look for and hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from sidecar.telemetry.api import Call, Endpoint


class InputStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One input."""

    name: str
    type: str
    lag_bytes: int
    """There and not read yet."""
    files: int
    """Followed right now."""
    idle: bool
    """Whether nothing is left to read: its sources follow the wall clock."""
    trouble: str
    """Why it is not ready; empty: it is."""


class ChannelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One channel."""

    name: str
    type: str
    pager: bool
    waiting: int
    """Notifications that are decided on and not settled."""
    oldest_seconds: float
    """How long the oldest of them has waited."""
    trouble: str
    """Why the latest notification could not be delivered; empty: all is well."""


class ConfigStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration."""

    ok: bool
    """Whether the file on disk is what runs."""
    loaded_at: str
    """RFC 3339: since when what runs has been running."""
    problems: list[str]
    """What is wrong with the file on disk, warnings included."""


class StoreStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state."""

    ok: bool
    failing_since: str | None
    """RFC 3339; None: it can be written."""
    error: str
    in_memory: bool
    """There is no `state_dir`: a restart forgets everything."""
    retention: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon."""

    version: str
    started_at: str
    uptime_seconds: float
    ready: bool
    """As `/readyz` says it."""
    inputs: list[InputStatus]
    channels: list[ChannelStatus]
    incidents: Mapping[str, int]
    """How many are `open` and `acknowledged`."""
    outbox: int
    """Notifications that are decided on and not settled, also of channels that are no longer configured."""
    config: ConfigStatus
    store: StoreStatus


class RuleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One enabled rule."""

    name: str
    error_types: tuple[str, ...]
    levels: list[str]
    match: str | None
    """Further conditions, in words."""
    threshold: int | None
    window: str | None
    """Such as `5m`."""
    group_by: tuple[str, ...]
    channels: Mapping[str, tuple[str, ...]]
    """By level, whom it would tell."""
    max_pages_per_hour: int
    groups: int
    """With matches in their window, or an open incident."""
    largest_window: int
    """Matches in the fullest window; the threshold while a breach's incident is open."""
    open: int
    acknowledged: int


class RulesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All enabled rules, in the order of the configuration."""

    rules: list[RuleStatus]


def status_endpoints(status: Callable[[], Status], rules: Callable[[], RulesAnswer]) -> list[Endpoint]:
    """Return the endpoints over two ways to look."""

    async def answer_status(_: Call) -> Status:
        return status()

    async def answer_rules(_: Call) -> RulesAnswer:
        return rules()

    return [Endpoint(path="status", answer=answer_status), Endpoint(path="rules", answer=answer_rules)]

"""Sends a test event to channels, outside of the outbox: what `send-test` does.

One attempt each, no retries: the answer is what was asked for. PagerDuty gets a trigger and then a resolve, so that
the test leaves nothing open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from sidecar.channels.base import Channel, Failure
from sidecar.channels.factory import make
from sidecar.channels.transport import Transport
from sidecar.config.model import Config, PagerDutyChannel
from sidecar.config.secrets import Secret
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind, Notification
from sidecar.core.outcome import Result


class Report(msgspec.Struct, frozen=True):
    """What one channel answered."""

    channel: str
    action: str
    ok: bool
    result: str
    status: int | None
    detail: str


async def send_tests(config: Config, names: list[str], *, now: int) -> list[Report]:
    """Send a test event to each of the named channels, one after the other. `now` is nanoseconds since the epoch."""
    reports = []
    async with Transport() as transport:
        for name in names:
            channel = make(config.channels[name])
            for key in _keys(config, name):
                for action in _actions(config, name):
                    report = await _send(transport, channel, action, key, now)
                    reports.append(report)
                    if not report.ok:
                        break
    return reports


def _actions(config: Config, name: str) -> tuple[Action, ...]:
    if isinstance(config.channels[name], PagerDutyChannel):
        return (Action.TRIGGER, Action.RESOLVE)
    return (Action.TRIGGER,)


def _keys(config: Config, name: str) -> Iterator[Secret | None]:
    """Yield the keys to try: the channel's own, and those of the rules that use it."""
    channel = config.channels[name]
    if not isinstance(channel, PagerDutyChannel):
        yield None
        return
    fingerprints = [] if channel.routing_key is None else [channel.routing_key.fingerprint()]
    for rule in config.rules:
        if rule.routing_key is not None and (rule.channels is None or name in rule.channels):
            fingerprints.append(rule.routing_key)
    for fingerprint in dict.fromkeys(fingerprints):
        yield config.secrets[fingerprint]


async def _send(transport: Transport, channel: Channel, action: Action, key: Secret | None, now: int) -> Report:
    body = channel.render(_test_notification(channel.name, action, key, now), None)
    answer = await transport.send(channel.request(body, routing_key=key, delayed=None, now=now))
    outcome = answer.outcome() if isinstance(answer, Failure) else channel.classify(answer)
    ok = outcome.result is Result.ACCEPTED
    return Report(channel.name, action.value, ok, outcome.result.value, outcome.status, outcome.detail)


def _test_notification(name: str, action: Action, key: Secret | None, now: int) -> Notification:
    seed = f"{name}:{key.fingerprint() if key else ''}:{now}"
    number = hashlib.blake2b(seed.encode(), digest_size=8).hexdigest()
    message = "This is a test of luminalog-sidecar. Nothing is wrong."
    return Notification(
        action=action,
        dedup_key=f"luminalog-test-{number}",
        incident_id=f"test-{number}",
        kind=Kind.SELF,
        title="[LuminaLog] Test notification",
        summary=f"[LuminaLog] Test notification - {message}",
        headline=message,
        rule="send-test",
        level=Level.INFO,
        service="luminalog-sidecar",
        source="luminalog-sidecar",
        first_seen=now,
        last_seen=now,
        opened_at=now,
        resolved_at=now if action is Action.RESOLVE else None,
        resolve_reason="the test is over" if action is Action.RESOLVE else None,
    )

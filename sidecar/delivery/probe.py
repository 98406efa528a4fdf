"""Sends a test event to channels, outside of the outbox: what `send-test` does.

One attempt each, no retries: the answer is what was asked for. PagerDuty gets a trigger and then a resolve, so that
the test leaves nothing open; a Slack bot, too, so that it shows whether it may edit and reply.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from sidecar.channels.base import Channel
from sidecar.channels.factory import make
from sidecar.channels.transport import Transport
from sidecar.config.model import Config, PagerDutyChannel, SlackBotChannel
from sidecar.config.secrets import Secret
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind, Notification
from sidecar.core.outcome import Result
from sidecar.delivery.exchange import exchange


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
                ref = None
                for action in _actions(config, name):
                    report, ref = await _send(transport, channel, action, key, now, ref)
                    reports.append(report)
                    if not report.ok:
                        break
    return reports


def _actions(config: Config, name: str) -> tuple[Action, ...]:
    if isinstance(config.channels[name], PagerDutyChannel | SlackBotChannel):
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


async def _send(
    transport: Transport, channel: Channel, action: Action, key: Secret | None, now: int, ref: str | None
) -> tuple[Report, str | None]:
    """Return what was answered, and the service's name for what it made."""
    body = channel.render(_test_notification(channel.name, action, key, now), ref, heard=ref is not None)
    requests = channel.requests(body, routing_key=key, delayed=None, now=now)
    outcome = await exchange(transport.send, channel.classify, requests)
    ok = outcome.result is Result.ACCEPTED
    report = Report(channel.name, action.value, ok, outcome.result.value, outcome.status, outcome.detail)
    return report, outcome.ref


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

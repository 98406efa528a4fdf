"""Slack, incoming webhook: one Block Kit message a notification.

Slack answers a webhook in plain words and names no message: what was posted can neither be edited nor answered in a
thread. So people get the trigger in full, and whatever follows in one short block.
"""

from __future__ import annotations

import msgspec

from sidecar.channels.answers import CHAT_PERMANENT, outcome, words
from sidecar.channels.base import Request, Response
from sidecar.channels.message import tidy
from sidecar.channels.slack_blocks import delay, full, short
from sidecar.config.model import SlackChannel
from sidecar.config.secrets import Secret
from sidecar.core.notification import Action, Notification
from sidecar.core.outcome import Outcome


class Slack:
    """One Slack channel, through a webhook."""

    def __init__(self, config: SlackChannel) -> None:
        self.name, self.pager = config.name, config.pager
        self._url = config.webhook_url

    def render(self, notification: Notification, ref: str | None, *, heard: bool = False) -> bytes:
        """Return the message, a short one for readers who have the trigger."""
        n = tidy(notification)
        message = short(n) if heard and n.action is not Action.TRIGGER else full(n)
        return msgspec.json.encode({**message, "unfurl_links": False, "unfurl_media": False})

    def requests(self, body: bytes, *, routing_key: Secret | None, delayed: str | None, now: int) -> list[Request]:
        """Add the delay below the first block."""
        if delayed is not None:
            body = msgspec.json.encode(delay(msgspec.json.decode(body), delayed))
        headers = {"Content-Type": "application/json"}
        return [Request(method="POST", url=self._url.reveal(), headers=headers, body=body)]

    def classify(self, response: Response) -> Outcome:
        """Take Slack's refusals as final: it disables applications that go on."""
        final = not self.pager and response.status in CHAT_PERMANENT
        return outcome(response, words(response.body, [self._url]), permanent=final)

    def bucket(self, routing_key: Secret | None) -> str:
        """Slack limits each webhook by itself."""
        return f"slack:{self._url.fingerprint()}"

"""Any service: one JSON document a notification, by `POST`, signed if the channel has a secret.

The document has every field of a notification: `version` (1), `action`, `dedup_key`, `incident_id`, `kind`, `title`,
`summary`, `headline`, `rule`, `level`, `severity`, `source`, `service`, `environment`, `namespace`, `host`,
`error_type`, `root_cause`, `trace_id`, `group` (field: value), `grouping`, `count`, `threshold`, `window_seconds`,
`first_seen`, `last_seen`, `opened_at`, `resolved_at` (RFC 3339, UTC), `acknowledged`, `resolve_reason`, `samples`,
`redacted` (places hidden in them), `folded`, `folded_count`, `notes`, `labels`, `links` (`text`, `href`),
`incident_url`; what is unknown is null.
`delayed` (`"47 min"`) is there only when the message is late.

Headers
- `X-LuminaLog-Delivery`: names the message; equal on each retry, so that a receiver can drop what it has seen.
- `X-LuminaLog-Timestamp`: Unix seconds of this attempt.
- `X-LuminaLog-Signature`: `v1=` and the hexadecimal HMAC-SHA256, under the secret in UTF-8, of the timestamp, a full
  stop and the body as sent. A receiver compares in constant time and refuses timestamps older than it likes.
"""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from sidecar.channels.answers import CHAT_PERMANENT, outcome, words
from sidecar.channels.base import Request, Response
from sidecar.channels.message import tidy
from sidecar.config.model import WebhookChannel
from sidecar.config.secrets import Secret
from sidecar.core.notification import Notification
from sidecar.core.outcome import Outcome
from sidecar.core.texts import rfc3339
from sidecar.core.times import SECOND

VERSION = 1


class Webhook:
    """One webhook channel."""

    def __init__(self, config: WebhookChannel) -> None:
        self.name, self.pager = config.name, config.pager
        self._url, self._secret = config.url, config.secret
        self._severity = config.severity_map

    def render(self, notification: Notification, ref: str | None, *, heard: bool = False) -> bytes:
        """Return the document."""
        n = tidy(notification)
        document = {
            "version": VERSION,
            **msgspec.to_builtins(n),
            "level": n.level.label,
            "severity": n.severity or self._severity.get(n.level),
        }
        for name in ("first_seen", "last_seen", "opened_at", "resolved_at"):
            document[name] = rfc3339(document[name]) if document[name] else None
        return msgspec.json.encode(document)

    def requests(self, body: bytes, *, routing_key: Secret | None, delayed: str | None, now: int) -> list[Request]:
        """Add the delay and sign."""
        delivery = hashlib.blake2b(body, digest_size=16).hexdigest()
        if delayed is not None:
            body = msgspec.json.encode({**msgspec.json.decode(body), "delayed": delayed})
        timestamp = str(now // SECOND)
        headers = {
            "Content-Type": "application/json",
            "X-LuminaLog-Delivery": delivery,
            "X-LuminaLog-Timestamp": timestamp,
        }
        if self._secret is not None:
            key, signed = self._secret.reveal().encode(), timestamp.encode() + b"." + body
            headers["X-LuminaLog-Signature"] = "v1=" + hmac.new(key, signed, hashlib.sha256).hexdigest()
        return [Request(method="POST", url=self._url.reveal(), headers=headers, body=body)]

    def classify(self, response: Response) -> Outcome:
        """Take refusals as final that no retry can mend, unless the channel is a pager."""
        final = not self.pager and response.status in CHAT_PERMANENT
        return outcome(response, words(response.body, [self._url, self._secret]), permanent=final)

    def bucket(self, routing_key: Secret | None) -> str:
        """Limit each address by itself."""
        return f"webhook:{self._url.fingerprint()}"

"""A receiver of signed JSON, as somebody would write it who has read the documentation of the signature."""

from __future__ import annotations

import hashlib
import hmac

from sidecar.standin.traffic import Call, MalformedError, Reply, parse_object

TOLERANCE = 300 * 1_000_000_000
"""How old a signature may be: five minutes, as is usual against replays."""


class Webhook:
    """Takes any JSON object; with a secret, only what is signed."""

    def __init__(self, secret: str | None = None) -> None:
        self._secret = secret
        self.deliveries: set[str] = set()
        """Delivery ids seen: a receiver drops what it has seen."""

    def answer(self, call: Call) -> Reply:
        """Answer one document."""
        if call.method != "POST":
            return Reply(status=405)
        if self._secret is not None and not self._is_signed(call, self._secret):
            return Reply(status=401, body=b"bad signature")
        try:
            document = parse_object(call.body)
        except MalformedError as problem:
            return Reply(status=400, body=str(problem).encode())
        self.deliveries.add(call.headers.get("x-luminalog-delivery", ""))
        action, key, title, severity = (
            str(document.get(name) or "") for name in ("action", "dedup_key", "title", "severity")
        )
        return Reply(status=200, body=b'{"ok":true}', action=action, key=key, title=title, severity=severity)

    def _is_signed(self, call: Call, secret: str) -> bool:
        timestamp = call.headers.get("x-luminalog-timestamp", "")
        expected = hmac.new(secret.encode(), f"{timestamp}.".encode() + call.body, hashlib.sha256).hexdigest()
        fresh = timestamp.isdecimal() and abs(int(timestamp) * 1_000_000_000 - call.at) <= TOLERANCE
        return fresh and hmac.compare_digest(call.headers.get("x-luminalog-signature", ""), f"v1={expected}")

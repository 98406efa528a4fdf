"""Decides whether PagerDuty has sent a body: HMAC-SHA256 with the subscription's secret.

The header is `v1=<hex>`, or several of them with commas while a secret is being replaced; the key is the secret as
text, although it looks like base64 (PagerDuty, "Webhook Signatures"). Their page shows white space behind commas.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from sidecar.config.secrets import Secret

VERSION = "v1="


class Signatures:
    """The secrets of all subscriptions."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._keys = [secret.reveal().encode() for secret in secrets]

    def accept(self, body: bytes, headers: Iterable[str]) -> bool:
        """Whether any signature is that of the body under any secret. Every pair is compared, in constant time."""
        entries = [entry.strip() for header in headers for entry in header.split(",")]
        given = [
            entry.removeprefix(VERSION).strip().lower().encode("utf-8", "surrogateescape")
            for entry in entries
            if entry.startswith(VERSION)
        ]
        found = False
        for key in self._keys:
            expected = hmac.new(key, body, hashlib.sha256).hexdigest().encode()
            for signature in given:
                found |= hmac.compare_digest(expected, signature)
        return found

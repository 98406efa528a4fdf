"""Decides who may send logs: a token, or a peer on this machine where no token is configured.

Tokens come as a bearer token (RFC 6750), as the password of basic authentication (RFC 7617; the user name does not
matter), in `x-api-key`, or in the body of a LuminaLog request. Several may be valid at once, for rotation.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hmac
from collections.abc import Collection, Mapping

from sidecar.config.addresses import is_loopback
from sidecar.config.secrets import Secret


class Access(enum.Enum):
    """May it send?"""

    GRANTED = enum.auto()
    UNKNOWN = enum.auto()
    """No token: one may still stand in the body."""
    WRONG = enum.auto()
    """A token, but none of ours."""
    NOT_LOCAL = enum.auto()
    """No tokens are configured, and the peer is not on this machine."""


class Gate:
    """One input's rule."""

    def __init__(self, tokens: Collection[Secret], *, allow_anonymous: bool) -> None:
        self._tokens = [token.reveal().encode() for token in tokens]
        self._anonymous = allow_anonymous

    @property
    def has_tokens(self) -> bool:
        """Whether a token is asked for."""
        return bool(self._tokens)

    def check(self, headers: Mapping[str, str], peer: str | None) -> Access:
        """Decide by a request's headers and its peer's address (None: a Unix socket)."""
        if not self._tokens:
            local = peer is None or is_loopback(peer.removeprefix("::ffff:"))
            return Access.GRANTED if local or self._anonymous else Access.NOT_LOCAL
        given = _given(headers)
        if given is None:
            return Access.UNKNOWN
        return Access.GRANTED if self.accepts(given) else Access.WRONG

    def accepts(self, token: str) -> bool:
        """Whether a token is one of ours. Every one is compared, in constant time."""
        raw = token.encode("utf-8", "surrogatepass")
        found = False
        for ours in self._tokens:
            found |= hmac.compare_digest(ours, raw)
        return found


def _given(headers: Mapping[str, str]) -> str | None:
    key = headers.get("x-api-key")
    if key:
        return key.strip()
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    match scheme.lower():
        case "bearer" | "token" | "splunk":
            return value.strip()
        case "basic":
            try:
                return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return ""
        case "":
            return None
        case _:
            return ""

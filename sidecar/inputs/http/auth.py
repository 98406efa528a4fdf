"""Decides who may send logs: a token, or a peer on this machine where no token is configured.

Tokens come as a bearer token (RFC 6750), as the password of basic authentication (RFC 7617; the user name does not
matter), in `x-api-key`, or in the body of a LuminaLog request. Several may be valid at once, for rotation.
"""

from __future__ import annotations

import base64
import enum
import hmac
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache

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


@lru_cache(maxsize=1024)
def _is_local(peer: str) -> bool:
    return is_loopback(peer.removeprefix("::ffff:"))


class Gate:
    """One input's rule."""

    def __init__(self, tokens: Collection[Secret], *, allow_anonymous: bool) -> None:
        self._tokens = [token.reveal().encode() for token in tokens]
        self._anonymous = allow_anonymous

    @property
    def wants_token(self) -> bool:
        """Whether it goes by headers at all."""
        return bool(self._tokens)

    def check(self, headers: Mapping[str, str], peer: str | None) -> Access:
        """Decide by a request's headers and its peer's address (None: a Unix socket)."""
        if not self._tokens:
            local = peer is None or _is_local(peer)
            return Access.GRANTED if local or self._anonymous else Access.NOT_LOCAL
        given = list(_given(headers))
        if not given:
            return Access.UNKNOWN
        return Access.GRANTED if any(self.accepts(token) for token in given) else Access.WRONG

    def accepts(self, token: str) -> bool:
        """Whether a token is one of ours. Every one is compared, in constant time."""
        raw = token.encode("utf-8", "surrogatepass")
        found = False
        for ours in self._tokens:
            found |= hmac.compare_digest(ours, raw)
        return found


def _given(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield every token that the headers hold: what stands between us and the client may have added its own."""
    key = headers.get("x-api-key")
    if key:
        yield key.strip()
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    match scheme.lower():
        case "bearer" | "token" | "splunk":
            yield value.strip()
        case "basic":
            try:
                yield base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
            except ValueError:  # no base64, or no text
                yield ""
        case "":
            return
        case _:
            yield ""

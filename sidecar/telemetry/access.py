"""Who may ask the admin listener about logs and incidents.

Invariants
- With a token configured nobody gets in without it. It is compared in constant time.
- With none, only a listener bound to loopback answers, and only under a name of this machine: a web page whose host
  name was made to point at 127.0.0.1 must not read logs through somebody's browser.
- Nothing changes at the word of a web page from elsewhere, which a browser sends with whatever lets it in: what it says
  of where a request comes from must be this listener's own address (Origin: RFC 6454; Sec-Fetch-Site: Fetch Metadata).
- A browser's password opens what can be read only: with it a browser answers also for web pages that trick it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from urllib.parse import urlsplit

from aiohttp import web

from sidecar.config.addresses import is_loopback
from sidecar.config.secrets import Secret


class RefusedError(Exception):
    """A request that cannot be answered as asked; the message is for people."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Access:
    """The rule for one listener."""

    def __init__(self, *, host: str, token: Secret | None) -> None:
        """`host`: the address that the listener is bound to."""
        self._token = None if token is None else token.reveal().encode()
        self._local = is_loopback(host)

    def admit(self, request: web.Request, *, password: bool = False) -> None:
        """Let a request pass or raise `RefusedError`. `password`: the token may also be that of HTTP Basic."""
        self._authorise(request, password=password)
        if request.method not in ("GET", "HEAD") and _is_from_elsewhere(request):
            raise RefusedError(403, "a web page of another origin may change nothing here")

    def _authorise(self, request: web.Request, *, password: bool) -> None:
        if self._token is None:
            if not self._local:
                raise RefusedError(401, "no token is configured, and the listener is not bound to loopback")
            if not _is_local_name(request.headers.get("Host", "localhost")):
                raise RefusedError(403, "without `admin.token` the API answers under a loopback name only")
            return
        scheme, _, given = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() == "basic" and password:
            token = _password(given)
        elif scheme.lower() == "bearer":
            token = given.strip().encode("utf-8", "surrogateescape")
        else:
            raise RefusedError(401, "a bearer token is needed" + (", or the token as a password" if password else ""))
        if not hmac.compare_digest(token, self._token):
            raise RefusedError(401, "the token is not valid")


def _password(given: str) -> bytes:
    """Return the password of Basic credentials, whoever the user; nothing where there are none (RFC 7617)."""
    try:
        return base64.b64decode(given.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def _is_from_elsewhere(request: web.Request) -> bool:
    """Whether a browser says that a page of another origin sends this; others than browsers say nothing."""
    if request.headers.get("Sec-Fetch-Site", "").strip().lower() == "cross-site":
        return True
    host = request.headers.get("Host", "").strip().lower()
    origins = request.headers.getall("Origin", [])
    return any(origin.strip().lower() not in (f"http://{host}", f"https://{host}") for origin in origins)


def _is_local_name(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False

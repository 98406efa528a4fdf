"""What every channel is to the dispatcher: three pure functions, and no I/O.

`render` turns a notification into a body once; the body is stored and repeated verbatim by every retry.
`requests` adds what must not be stored (keys, addresses) and what may change between attempts (delay, signature). Most
notifications are one request; an edit that people are to notice is followed by a short message.
`classify` reads an answer. `transport.py` does the HTTP for all of them, and returns a `Failure` instead of an answer
where there was none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from sidecar.config.secrets import Secret
from sidecar.core.notification import Notification
from sidecar.core.outcome import Outcome, Result


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request. Its `repr` shows neither address, headers nor body: they hold secrets."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Request({self.method}, {len(self.body)} bytes)"


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, its body capped. Its `repr` shows neither headers nor body: services repeat what they were sent."""

    status: int
    headers: dict[str, str]
    """Lower-case names."""
    body: bytes

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes)"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """No answer came: the HTTP exchange itself failed."""

    result: Result
    """`TIMEOUT` or `CONNECTION_ERROR`."""
    never_sent: bool
    """Certain that nothing of the request reached the service."""
    detail: str
    """What went wrong, in our words: never an address."""

    def outcome(self) -> Outcome:
        """Return the attempt's outcome."""
        return Outcome(result=self.result, never_sent=self.never_sent, detail=self.detail)


class Channel(Protocol):
    """A configured destination."""

    name: str
    pager: bool

    def render(self, notification: Notification, ref: str | None, *, heard: bool = False) -> bytes:
        """Return the frozen body.

        `ref` is the service's id of what this incident's trigger created, if known. `heard`: the service has accepted
        that trigger, so that its readers have the facts.

        Raises ValueError for an action that the service has no message for (PagerDuty: `update`).
        """

    def requests(self, body: bytes, *, routing_key: Secret | None, delayed: str | None, now: int) -> Sequence[Request]:
        """Complete a frozen body for one attempt: at least one request, each to be sent once that before is accepted.

        `delayed` is a human duration such as `47 min`, if it is late. `now` is the wall clock in nanoseconds since
        the epoch, for signatures. Raises LookupError if the service needs a key and there is none.
        """

    def classify(self, response: Response) -> Outcome:
        """Say what an answer means."""

    def bucket(self, routing_key: Secret | None) -> str:
        """Name what the service's rate limit applies to: equal names share one limit. Holds no secret."""

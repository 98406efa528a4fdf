"""What became of one attempt to deliver a notification."""

from __future__ import annotations

import enum

import msgspec


class Result(enum.StrEnum):
    """How a service answered one attempt; label of `luminalog_delivery_attempts_total`."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION_ERROR = "connection_error"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, classified by its channel."""

    result: Result
    permanent: bool = False
    """No retry can mend it: settle as failed. Only with `REJECTED`."""
    never_sent: bool = False
    """Certain that the service received nothing: the connection was refused or the name not resolved."""
    retry_after: float | None = None
    """Seconds the service asked us to wait."""
    ref: str | None = None
    """The service's own id of what the notification created (Discord: message id; Slack: channel and `ts`)."""
    missing: bool = False
    """What `ref` named is gone, or may not be edited any more: render again without it."""
    status: int | None = None
    detail: str = ""
    """The service's own words, bounded and free of secrets, for the log."""

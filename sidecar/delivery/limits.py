"""Keeps below a service's rate limit: a token bucket per key or webhook."""

from __future__ import annotations

BURST_SHARE = 0.15
"""The bucket holds this share of a minute's events, so that burst and refill of one minute together stay below
115 % of the rate: with PagerDuty's default of 100 a minute, under the 120 that it takes."""


RESOLUTION = 1e-6
"""Seconds. A shorter wait is none: timers are not that fine, and waiting for it would spin."""


class TokenBucket:
    """Allows `per_minute` events a minute. Times are seconds on a monotonic clock."""

    def __init__(self, per_minute: int, now: float) -> None:
        self._at = now
        self._paused_until = now
        self._set(per_minute)
        self._tokens = self._capacity

    def change(self, per_minute: int, now: float) -> None:
        """Allow another rate from now on. What is in the bucket stays, as far as it still fits."""
        self._refill(now)
        self._set(per_minute)
        self._tokens = min(self._tokens, self._capacity)

    def wait(self, now: float) -> float:
        """Return the seconds until an event may go out; 0: now."""
        self._refill(now)
        missing = (1 - self._tokens) / self._rate
        wait = max(missing, self._paused_until - now)
        return wait if wait > RESOLUTION else 0.0

    def take(self, now: float) -> None:
        """Use the token that `wait` promised."""
        self._refill(now)
        self._tokens -= 1

    def pause(self, until: float) -> None:
        """Hold everything back until then: the service asked for it."""
        self._paused_until = max(self._paused_until, until)

    def _set(self, per_minute: int) -> None:
        self._rate = per_minute / 60
        self._capacity = max(1.0, per_minute * BURST_SHARE)

    def _refill(self, now: float) -> None:
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._rate)
        self._at = now

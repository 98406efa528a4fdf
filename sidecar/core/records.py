"""One decoded log event.

A `Record` is what every decoder produces and everything behind it works on. Its time and level are final:
the decoder has already applied the fallbacks of the design (previous time, arrival, default level).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sidecar.core.levels import Level

NONE = "(none)"
"""What a missing value counts as when matches are grouped."""


class Record(msgspec.Struct, kw_only=True, gc=False):
    """One log event. Times are integer nanoseconds since the Unix epoch, UTC."""

    time: int
    level: Level
    message: str = ""
    error_type: str | None = None
    root_cause: str | None = None
    """Java and friends: the innermost exception, where it differs from `error_type`."""
    stack: str | None = None
    service: str | None = None
    host: str | None = None
    environment: str | None = None
    namespace: str | None = None
    """Kubernetes namespace, or what the application calls one."""
    trace_id: str | None = None
    fields: Mapping[str, object] = {}
    """The decoded object as it was logged, for conditions and grouping; empty for plain text."""
    line: str = ""
    """The record as it was logged, cut to a bounded length; untrusted and not yet redacted."""

    def in_full(self) -> Record:
        """Return the record fit to be written: one of which part is still to be read (`decode.deferred`) is not."""
        return self

    def surround(self, around: dict[str, object]) -> bool:
        """Take fields that stand in for missing ones once somebody asks; say whether that is possible."""
        return False

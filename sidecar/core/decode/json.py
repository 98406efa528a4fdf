"""Format `json`: every line is an object; what is none is rejected with its reason."""

from __future__ import annotations

from sidecar.core.decode.base import Decoded, DecodeOptions, Rejected, StreamStats
from sidecar.core.decode.objects import ObjectReader
from sidecar.core.timestamps import TimeReader

_PADDING = " \t\r\f\v\ufeff"


class JsonDecoder:
    """Reads JSON lines. Holds nothing back and remembers nothing."""

    def __init__(self, options: DecodeOptions, stats: StreamStats, state: bytes = b"") -> None:
        self._stats = stats
        self._objects = ObjectReader(options, TimeReader(options.timezone), _PADDING)

    def push(self, line: bytes, cut: bool, arrival: int, out: list[Decoded]) -> None:
        """Take a line."""
        found = self._objects.read(line, arrival, cut=cut)
        if not isinstance(found, Rejected):
            out.append(found)
        elif line.strip():
            self._stats.reject(found, line)

    def hole(self, out: list[Decoded]) -> None:
        """Nothing is ever continued."""

    def flush(self, out: list[Decoded], now: int | None = None) -> None:
        """Nothing is ever held."""

    def due(self) -> int | None:
        """Nothing is ever held."""
        return None

    def idle(self, now: int) -> bool:
        """Nothing is ever held."""
        return True

    def state(self) -> bytes:
        """Nothing is remembered."""
        return b""

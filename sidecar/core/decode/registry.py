"""The formats that an input can declare. A new one is a file with its decoder, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sidecar.core.decode.auto import AutoDecoder
from sidecar.core.decode.base import DecodeOptions, Decoder, StreamStats
from sidecar.core.decode.json import JsonDecoder
from sidecar.core.decode.text import TextDecoder

FORMATS: Mapping[str, Callable[[DecodeOptions, StreamStats, bytes], Decoder]] = {
    "auto": AutoDecoder,
    "json": JsonDecoder,
    "text": TextDecoder,
}
"""Makes a decoder from options, the counters to bump, and the state that an earlier one left (empty: none)."""

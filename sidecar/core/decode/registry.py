"""The formats that inputs declare or imply. A new one is a file with its decoder, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from sidecar.core.decode.auto import AutoDecoder
from sidecar.core.decode.base import DecodeOptions, Decoder, StreamStats
from sidecar.core.decode.journal import JournalDecoder
from sidecar.core.decode.json import JsonDecoder
from sidecar.core.decode.text import TextDecoder
from sidecar.core.decode.text_record import Logfmt

FORMATS: Mapping[str, Callable[[DecodeOptions, StreamStats, bytes], Decoder]] = {
    "auto": AutoDecoder,
    "json": JsonDecoder,
    "cri": partial(AutoDecoder, docker=False),
    "docker": partial(AutoDecoder, cri=False),
    "logfmt": partial(TextDecoder, logfmt=Logfmt.DECLARED),
    "text": TextDecoder,
    "journal": JournalDecoder,
}
"""Makes a decoder from options, the counters to bump, and the state that an earlier one left (empty: none)."""

"""LuminaLog's requests: `{"logs": […]}`, with the key in a header or, deprecated, in the body.

Source: LuminaLog's REST API reference; `luminalog-sdk` 1.1.0 as it is on PyPI.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sidecar.core.decode.base import Rejected
from sidecar.core.decode.bounds import decode_text
from sidecar.core.decode.json_object import Fields, read_object
from sidecar.core.decode.outline import Part, Scrap, elements

MAX_ENTRIES = 1_000
"""Entries of one request, and below, bytes of a message: the API's own limits."""

MAX_MESSAGE_BYTES = 10 * 1024


class Entry(msgspec.Struct):
    """One log event."""

    fields: Fields
    around: Fields | None
    """Its metadata: stands in for what it does not say itself."""
    cut: bool
    """Its message was longer than the API allows; the beginning is kept."""


def read_entries(logs: Part) -> Iterator[Entry | Scrap]:
    """Yield the entries of a request, and what is none. One whose end is missing is left out."""
    for position, part in enumerate(elements(logs)):
        if not part.whole:
            continue
        if position >= MAX_ENTRIES:
            yield Scrap(Rejected.TOO_MANY, bytes(part.data))
            continue
        fields = read_object(bytes(part.data)) if part.opening == b"{" else Rejected.NOT_AN_OBJECT
        yield Scrap(fields, bytes(part.data)) if isinstance(fields, Rejected) else _entry(fields)


def read_key(part: Part | None) -> str | None:
    """Return the key that a body holds, if it is a text."""
    try:
        return None if part is None else msgspec.json.decode(part.data, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _entry(fields: Fields) -> Entry:
    message = fields.get("message")
    cut = False
    if isinstance(message, str) and len(message) * 4 > MAX_MESSAGE_BYTES:
        raw = message.encode("utf-8", "replace")
        if cut := len(raw) > MAX_MESSAGE_BYTES:
            fields["message"] = decode_text(raw[:MAX_MESSAGE_BYTES], cut=True)
    error = fields.get("error")
    if isinstance(error, dict) and isinstance(trace := error.get("stack_trace"), list):
        # Python's SDK sends pieces that end in a newline, others send lines.
        error["stack_trace"] = [line.rstrip("\r\n") if isinstance(line, str) else line for line in trace]
    metadata = fields.get("metadata")
    return Entry(fields, metadata if isinstance(metadata, dict) else None, cut)

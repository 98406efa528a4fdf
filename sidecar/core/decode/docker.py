r"""Reads what Docker's json-file driver writes: `{"log":"text\n","stream":"stdout","time":"…"}`, also with `attrs`.

Lines longer than 16 KiB are split: a text without a newline at its end goes on in the next of the same stream.
Source: moby, `daemon/logger/jsonfilelog` and `daemon/logger/copier.go`.
"""

from __future__ import annotations

from sidecar.core.decode.json_object import Fields

_KEYS = frozenset({"log", "stream", "time", "attrs"})
_STREAMS = ("stdout", "stderr")


def read_docker(fields: Fields) -> tuple[bytes, bool, Fields] | None:
    """Return the text of an object, whether that ends there, and what it was wrapped in; None if it is no such object.

    Applications and shippers write objects with a `log` too; those have other members, or hold several lines in one.
    """
    text = fields.get("log")
    if type(text) is not str or fields.get("stream") not in _STREAMS or not fields.keys() <= _KEYS:
        return None
    newline = text.find("\n")
    if 0 <= newline < len(text) - 1:
        return None
    around = {key: value for key, value in fields.items() if key != "log"}
    return text.removesuffix("\n").encode("utf-8", "replace"), newline >= 0, around

"""What the HTTP input answers.

Clients act on the status: Fluent Bit drops what is answered 400, 401, 403, 404, 405, 413 or 415, so these are for what
no retry can mend; all else is 503 with a time to come again (429 would make LuminaLog's SDK drop its logs, 408 an
OpenTelemetry exporter).

Invariants
- No answer has 4,096 bytes: Fluent Bit takes a longer one for a failure.
- No answer holds anything that the client sent.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web

from sidecar.core.decode.bodies import Kind
from sidecar.core.decode.otlp import error_answer, json_answer, protobuf_answer
from sidecar.inputs.http.doubts import Note

RETRY_AFTER = "2"
"""Seconds. Clients have their own idea; most double theirs each time."""

_SERVER = {"Server": "luminalog-sidecar"}


class RefusedError(Exception):
    """A request that is not taken."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def reasons(rejected: Mapping[str, int]) -> str:
    """Return for people why records were rejected."""
    return ", ".join(f"{count} {reason}" for reason, count in rejected.items())


def answer(note: Note) -> web.Response:
    """Return the answer to a request that was committed, in its client's own terms."""
    rejected = sum(note.rejected.values())
    why = reasons(note.rejected)
    document: dict[str, object]
    match note.kind:
        case Kind.OTLP_PROTOBUF.name:
            body = protobuf_answer(rejected, why)
            return web.Response(body=body, content_type="application/x-protobuf", headers=_SERVER)
        case Kind.OTLP_JSON.name:
            document = json_answer(rejected, why)
        case Kind.LUMINALOG.name:
            document = {"message": f"Logs ingested; rejected: {why}" if rejected else "Logs ingested"}
            document["processed"] = note.taken
        case _:
            document = {"accepted": note.taken, "rejected": rejected}
            if rejected:
                document["reasons"] = note.rejected
    return web.Response(body=msgspec.json.encode(document), content_type="application/json", headers=_SERVER)


def refusal(refused: RefusedError, *, export: str | None = None) -> web.Response:
    """Return the answer to a request that is not taken. `export`: media type of what was sent to OTLP's endpoint.

    There the answer is a `Status` in the encoding of the request (OTLP specification, "Failures").
    """
    headers = dict(_SERVER)
    if refused.status == 503:
        headers["Retry-After"] = RETRY_AFTER
    if refused.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="luminalog-sidecar", Basic realm="luminalog-sidecar"'
    if refused.status == 405:
        headers["Allow"] = "POST, PUT"
    document = {"error": refused.message}
    if export is not None:
        if "protobuf" in export:
            body, kind = error_answer(refused.message), "application/x-protobuf"
            return web.Response(status=refused.status, body=body, content_type=kind, headers=headers)
        document["message"] = refused.message
    return web.Response(
        status=refused.status, body=msgspec.json.encode(document), content_type="application/json", headers=headers
    )

"""From the sign of life as written to the one that the daemon gives."""

from __future__ import annotations

from msgspec import UNSET

from sidecar.config import document
from sidecar.config.credentials import Credentials
from sidecar.config.model import Heartbeat
from sidecar.config.problems import Place, Source, quoted
from sidecar.config.values import read_duration
from sidecar.core.times import SECOND

SHORTEST = 10 * SECOND
"""No service that waits for signs of life asks for more, and an attempt may take as long."""

_PLACE: Place = ("heartbeat",)


def build_heartbeat(source: Source, root: document.Root, credentials: Credentials) -> Heartbeat | None:
    """Return the sign of life; None: none is given."""
    if root.heartbeat is UNSET:
        return None
    doc, place = root.heartbeat, (*_PLACE, "every")
    every = read_duration(source, place, doc.every)
    if 0 < every < SHORTEST:
        source.error(place, f"expected a duration of at least `10s`, found {quoted(doc.every)}")
    url = credentials.take_url(source, _PLACE, "url", doc.url, doc.url_file)
    return Heartbeat(url=url, every=every, method=doc.method)

"""The `routes` of `routing`: who is told instead of the table, by service, namespace and environment.

The first route that fits an incident decides; what has `channels` of its own asks none. Their entries mean channels as
those of the table do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET, UnsetType

from sidecar.config import document
from sidecar.config.globs import Globs, within
from sidecar.config.model import ChannelConfig
from sidecar.config.outcomes import ORIGINS
from sidecar.config.problems import Place, Source
from sidecar.config.routes import expanded, meant, skipped
from sidecar.config.values import read_level
from sidecar.core.levels import Level
from sidecar.core.routing import Route

ROUTES = "routes"
"""The key beside the levels."""


def build_routes(
    source: Source, written: Sequence[str | document.Route], channels: Mapping[str, ChannelConfig]
) -> tuple[Route, ...]:
    """Return the routes, their channels reduced to configured ones. One that nothing can reach is a warning."""
    routes: list[Route] = []
    for i, doc in enumerate(written):
        place: Place = ("routing", ROUTES, i)
        if isinstance(doc, str):
            if not source.failed(place):
                source.error(place, "expected a map such as {service: billing, channels: [slack]}")
            continue
        if not any(source.has((*place, key)) for key in (*ORIGINS, "level", "levels")) and not source.failed(place):
            source.error(
                place,
                "expected at least one of `service`, `namespace`, `environment`, `level` and `levels`: what holds for "
                "all incidents belongs into the table",
            )
        for j, entry in enumerate(doc.channels):
            if not meant(entry, channels) and not source.failed(("channels", entry)):
                source.warning((*place, "channels", j), skipped(entry))
        route = Route(
            service=_globs(doc.service),
            namespace=_globs(doc.namespace),
            environment=_globs(doc.environment),
            levels=_levels(source, place, doc),
            channels=expanded(doc.channels, channels),
        )
        if not source.failed(place) and _is_hidden(route, routes):
            source.warning(place, "is never asked: the routes before it decide about everything that it fits")
        routes.append(route)
    return tuple(routes)


def _globs(written: str | list[str] | UnsetType) -> Globs:
    if written is UNSET:
        return None
    return (written,) if isinstance(written, str) else tuple(written)


def _levels(source: Source, place: Place, doc: document.Route) -> frozenset[Level]:
    if source.has((*place, "level")) and source.has((*place, "levels")):
        source.error((*place, "levels"), "expected one of `level` and this, found both")
    if doc.levels is not UNSET:
        found = [read_level(source, (*place, "levels", i), word) for i, word in enumerate(doc.levels)]
        return frozenset(level for level in found if level is not None)
    least = Level.DEBUG if doc.level is UNSET else read_level(source, (*place, "level"), doc.level)
    return frozenset(level for level in Level if least is not None and level >= least)


# ── what is never asked ───────────────────────────────────────────────────────────────────────────────────────────────


def _is_hidden(route: Route, before: Sequence[Route]) -> bool:
    wider = [other for other in before if all(within(getattr(route, name), getattr(other, name)) for name in ORIGINS)]
    return route.levels <= frozenset[Level]().union(*(other.levels for other in wider))

"""Puts the admin listener together: which part of the daemon answers which path."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.book import EngineSilences, IncidentBook
from sidecar.config.model import Config
from sidecar.core.quarantine import Quarantine
from sidecar.overview import Overview
from sidecar.telemetry.access import Access
from sidecar.telemetry.admin import AdminServer
from sidecar.telemetry.api import Api
from sidecar.telemetry.incidents import everything_about, incident_endpoints
from sidecar.telemetry.page import IncidentPages
from sidecar.telemetry.rejections import rejected_endpoint
from sidecar.telemetry.reporting import report_endpoint
from sidecar.telemetry.silences import silence_endpoints
from sidecar.telemetry.status import status_endpoints
from sidecar.telemetry.telemetry import Telemetry


def admin_server(
    *,
    book: IncidentBook,
    silences: EngineSilences,
    overview: Overview,
    quarantine: Quarantine,
    telemetry: Telemetry,
    config: Callable[[], Config],
    clock: Callable[[], int],
    new_id: Callable[[], str],
) -> AdminServer:
    """Return the listener, which does not listen yet. `config`: the one that runs; `new_id`: of a silence."""
    admin = config().admin
    return AdminServer(
        host=admin.host,
        port=admin.port,
        telemetry=telemetry,
        health=overview.health,
        api=Api(
            [
                rejected_endpoint(quarantine),
                *incident_endpoints(book),
                *silence_endpoints(silences, clock, new_id),
                *status_endpoints(overview.status, overview.rules),
                report_endpoint(book, clock, lambda: config().retention),
            ],
            host=admin.host,
            token=admin.token,
        ),
        pages=IncidentPages(
            lambda incident_id: everything_about(book, incident_id),
            Access(host=admin.host, token=admin.token),
        ),
    )

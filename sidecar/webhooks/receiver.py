"""Puts together what takes webhooks, and runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from sidecar.book import IncidentBook
from sidecar.config.addresses import listen_text
from sidecar.config.model import Webhooks
from sidecar.core.advance import Engine
from sidecar.core.times import DAY
from sidecar.pipeline import Pipeline
from sidecar.store.statements import Statement
from sidecar.store.store import Store
from sidecar.store.webhooks import for_webhook_pruning
from sidecar.telemetry.events.webhooks import WebhooksListening
from sidecar.telemetry.telemetry import Telemetry
from sidecar.webhooks.finding import Finder
from sidecar.webhooks.inbox import KNOWN_FOR, MAX_KNOWN, Inbox
from sidecar.webhooks.rest import Rest, Sender
from sidecar.webhooks.server import WebhookServer
from sidecar.webhooks.signature import Signatures
from sidecar.webhooks.worker import Worker

UNWORKED_KEPT = 30 * DAY
"""What was taken before the listener was configured away is forgotten some day."""


class Receiver:
    """Everything about webhooks."""

    def __init__(
        self,
        config: Webhooks,
        *,
        engine: Engine,
        book: IncidentBook,
        pipeline: Pipeline,
        store: Store,
        telemetry: Telemetry,
        sender: Sender,
        clock: Callable[[], int],
        external_url: Callable[[], str | None],
        repeated: Callable[[str], bool],
    ) -> None:
        self._telemetry = telemetry
        self._inbox = Inbox(store, clock)
        self._sender = sender
        self._finder = Finder(engine=engine, book=book, store=store, external_url=external_url, lookup=None)
        self._worker = Worker(
            finder=self._finder,
            pipeline=pipeline,
            telemetry=telemetry,
            worked_off=self._inbox.worked_off,
            repeated=repeated,
        )
        self._inbox.hand_over = self._worker.put
        self.server = WebhookServer(
            host=config.host,
            port=config.port,
            signatures=Signatures(()),
            inbox=self._inbox,
            telemetry=telemetry,
        )
        self.reconfigure(config)

    def reconfigure(self, config: Webhooks) -> None:
        """Take over secrets and token; the address stays until a restart."""
        self.server.signatures = Signatures(config.pagerduty_secrets)
        token, url = config.pagerduty_token, config.pagerduty_api_url
        self._finder.lookup = (
            None if token is None else Rest(self._sender, url=url, token=token, telemetry=self._telemetry)
        )

    async def start(self) -> None:
        """Take up what was left over, and listen.

        Raises `OSError` if the address cannot be used, `sqlite3.Error` or `StateError` if the store does not answer.
        """
        await self._inbox.restore()
        await self.server.start()
        self._telemetry.emit(WebhooksListening(address=listen_text(self.server.host, self.server.port)))

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._worker.run())
            tasks.create_task(self.server.look_after())

    async def stop(self) -> None:
        """Stop listening. What is not worked off is, at the next start."""
        await self.server.stop()
        self._inbox.close()


def for_old_webhooks(now: int) -> Iterable[Statement]:
    """Yield the statements that forget webhooks which nobody sends again."""
    return for_webhook_pruning(now - KNOWN_FOR, now - UNWORKED_KEPT, MAX_KNOWN)

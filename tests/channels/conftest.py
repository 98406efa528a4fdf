from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from channel_cases import CASES, HMAC_SECRET, NOW, Case

from sidecar.channels.transport import Transport
from sidecar.standin.server import StandIn

asyncio.set_event_loop(None)
"""Before the first asynchronous test looptime asks for the current loop; unset, it gets none, else a new one that
nobody closes."""


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    async with StandIn(webhook_secret=HMAC_SECRET, clock=lambda: NOW) as running:
        yield running


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport() as opened:
        yield opened

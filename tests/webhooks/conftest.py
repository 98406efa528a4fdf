from __future__ import annotations

import pytest
from webhook_world import World


@pytest.fixture
async def world() -> World:
    return World()

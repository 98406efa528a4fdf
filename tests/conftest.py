"""Settings of all tests."""

from __future__ import annotations

import asyncio

from hypothesis import settings

settings.register_profile("project", deadline=None)  # a busy machine is no reason to fail
settings.load_profile("project")

# asyncio would make a loop for whoever asks for the current one, and whatever replaces that leaves it unclosed: a
# warning in whichever test runs when it is collected. So there is none unless somebody runs one.
asyncio.set_event_loop(None)

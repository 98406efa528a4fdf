from __future__ import annotations

import pytest

from sidecar.inputs.http import server


@pytest.fixture(autouse=True)
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits are kept to the moment, and a stop is short: no test waits for what it does not test."""
    monkeypatch.setattr(server, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(server, "STOP_SECONDS", 0.05)

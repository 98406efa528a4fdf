"""What stands around files of rules that are loaded by themselves: channels, and no secrets.

Whoever tests rules in a pipeline has neither the keys nor the rest of the configuration there, and needs neither:
nothing is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET
from msgspec import inspect as mi

from sidecar.config import document
from sidecar.config.reader import spellings

_KEY = "0" * 32
_TOLD: dict[str, dict[str, Any]] = {
    "pagerduty": {"type": "pagerduty", "routing_key": _KEY},
    "slack": {"type": "slack", "webhook_url": "https://hooks.slack.com/services/T0/B0/0"},
    "discord": {"type": "discord", "webhook_url": "https://discord.com/api/webhooks/0/0"},
}
"""By type: the channels that the built-in routing tells."""

_ANY = {"type": "webhook", "url": "https://example.com/0"}


def made_up_channels(rules: Iterable[document.Rule]) -> dict[str, dict[str, Any]]:
    """Return a channel of each type, and one of each name that a rule tells, whose type is what the name says."""
    named = [name for rule in rules if rule.channels is not UNSET for name in rule.channels]
    own = {name: next((doc for kind, doc in _TOLD.items() if kind in name.lower()), _ANY) for name in named}
    return {**_TOLD, **own}


def without_keys(data: object) -> object:
    """Return a file's rules as parsed, without PagerDuty keys of their own."""
    if isinstance(data, list):
        return [without_keys(one) for one in data]
    if not isinstance(data, dict):
        return data
    kept = {key: value for key, value in data.items() if key not in _KEYS}
    return {**kept, "rules": without_keys(kept["rules"])} if "rules" in kept else kept


def _spelled(*names: str) -> frozenset[str]:
    info = mi.type_info(document.Rule)
    assert isinstance(info, mi.StructType)
    return frozenset(key for field in info.fields if field.name in names for key in spellings(document.Rule, field))


_KEYS = _spelled("pager_duty_key", "pager_duty_key_file")

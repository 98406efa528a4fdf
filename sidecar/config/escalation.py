"""From escalation policies as written to those of the core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import UNSET

from sidecar.config import document
from sidecar.config.problems import Place, Source
from sidecar.config.values import check_name, read_duration, unknown_channel
from sidecar.core.rule import EscalationLevel, EscalationPolicy

MAX_POLICY_NAME = 100


def build_policies(source: Source, docs: Mapping[str, document.AnyEscalation]) -> dict[str, EscalationPolicy]:
    """Return the policies by name; whether their channels exist is checked by `check_policies`."""
    policies = {}
    for name, doc in docs.items():
        place: Place = ("escalation", name)
        check_name(source, place, name, limit=MAX_POLICY_NAME)
        if name == "off":
            source.error(place, "expected another name: `escalation: off` means none")
        levels, repeat = (doc, 0) if isinstance(doc, list) else (doc.levels, doc.repeat)
        where = place if isinstance(doc, list) else (*place, "levels")
        if not levels and not source.failed(where):
            source.error(where, "expected at least one level")
        built = []
        for i, level in enumerate(levels):
            limit = (*where, i, "respond_within")
            last = i == len(levels) - 1 and repeat == 0
            if level.respond_within is UNSET and not last and not source.failed(limit):
                following = "all levels are told again" if i == len(levels) - 1 else "the next level is told"
                source.error((*where, i), f"`respond_within` is missing: expected how long it takes until {following}")
            respond_within = (
                None if level.respond_within is UNSET else read_duration(source, limit, level.respond_within)
            )
            built.append(
                EscalationLevel(name=level.name, channels=tuple(level.channels), respond_within=respond_within)
            )
        policies[name] = EscalationPolicy(name=name, levels=tuple(built), repeat=repeat)
    return policies


def check_policies(
    source: Source, docs: Mapping[str, document.AnyEscalation], channels: Iterable[str], used: Iterable[str]
) -> None:
    """Check that the channels of policies exist, and that some rule uses each of them."""
    known, used = set(channels), set(used)
    for name, doc in docs.items():
        inner: Place = () if isinstance(doc, list) else ("levels",)
        for i, level in enumerate(doc if isinstance(doc, list) else doc.levels):
            for j, channel in enumerate(level.channels):
                if channel and channel not in known and not source.failed(("channels", channel)):
                    place = ("escalation", name, *inner, i, "channels", j)
                    source.error(place, unknown_channel(channel, known))
        if name not in used:
            source.warning(("escalation", name), "is not used: no enabled rule names it in `escalation`")

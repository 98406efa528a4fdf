"""Says which rules ask for more than a search can find, so that every record of an input has to be decoded."""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.config.codes import Code
from sidecar.config.model import InputConfig
from sidecar.config.problems import quoted
from sidecar.config.rules import Built
from sidecar.core.prefilter.needs import needs_of
from sidecar.core.prefilter.search import FORMATS


def warn_of_unbounded(rules: Iterable[Built], inputs: Iterable[InputConfig]) -> None:
    """Warn of each rule once."""
    searched = [one for one in inputs if one.format in FORMATS]
    for built in rules:
        if not built.enabled:
            continue
        reasons = {one.name: needs_of([built.rule], one.default_level).unbounded for one in searched}
        names = [name for name, unbounded in reasons.items() if unbounded]
        if names:
            source, place = built.entry.source, built.entry.place
            reason = reasons[names[0]][0].reason
            affected = ", ".join(map(quoted, names))
            message = f"has every record of {affected} decoded, which is slow: {reason}"
            source.warning(place, message, Code.DECODES_EVERYTHING)

"""Codes of what `check` says about rules that load and are probably not what somebody meant.

A code is for good: it stands in people's configurations. `docs/linter.md` has a section for each, with an example of
what brings it up and of what does not.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

from sidecar.config.problems import Place, Problem, Source, quoted
from sidecar.config.reader import suggestion


class Code(enum.StrEnum):
    """One for each thing that can be said."""

    UNREACHABLE_THRESHOLD = "R001"
    NEVER_MATCHES = "R002"
    WITHOUT_EFFECT = "R003"
    LEVEL_AS_ERROR_TYPE = "R004"
    GROUPED_BY_RECORD = "R005"
    PAGES_BELOW_FATAL = "R006"
    LONGER_THAN_HISTORY = "R007"
    DECODES_EVERYTHING = "R008"
    PAGES_TWICE = "R009"
    PANIC_UNSEEN = "R010"
    MATCHED_NOTHING = "R011"
    MUCH_MEMORY = "R012"
    TELLS_NOBODY = "R013"
    KEY_NOT_USED = "R014"
    ALWAYS_MUTED = "R015"


class Ignored:
    """What is not to be said, of all rules and of some."""

    def __init__(self, everywhere: frozenset[str] = frozenset(), by_rule: Mapping[str, frozenset[str]] = {}) -> None:
        self._everywhere = everywhere
        self._by_rule = by_rule

    def covers(self, problem: Problem) -> bool:
        """Whether somebody has said that they know."""
        own = frozenset[str]() if problem.rule is None else self._by_rule.get(problem.rule, frozenset())
        return problem.code is not None and (problem.code in self._everywhere or problem.code in own)


def read_codes(source: Source, place: Place, written: Sequence[str]) -> frozenset[str]:
    """Return the codes of a list; what is none is an error that names the nearest one."""
    known = [code.value for code in Code]
    found: dict[str, None] = {}
    for i, word in enumerate(written):
        if word in known:
            found[word] = None
        elif not source.failed((*place, i)):
            near = suggestion(word, known)
            hint = f"; did you mean `{near}`?" if near else f"; there are `{known[0]}` to `{known[-1]}`"
            source.error((*place, i), f"expected a code of the linter, found {quoted(word)}{hint}")
    return frozenset(found)

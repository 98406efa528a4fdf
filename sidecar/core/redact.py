"""Secrets and personal data in log text, replaced by `[redacted]` before anything leaves the process.

Log lines are written by people in a hurry: `password=…`, JSON inside JSON, headers, connection strings, whole keys.
In doubt a value is hidden: a word too few in a message costs a glance, a secret in a chat costs a night.
What people need to work stays: times, UUIDs, hashes, addresses, numbers, and the names of what was hidden.

Invariants
- Linear time in the length of the text, whatever it holds: searches are RE2's, and every scan by hand either moves on
  past what it has read or reads a bounded number of bytes.
- Redacting twice changes nothing more.
- Work is on UTF-8 bytes; every pattern begins and ends at ASCII or takes whole runs, so no character is split.
"""

from __future__ import annotations

from sidecar.core.redact_addresses import (
    hide_connection_credentials,
    hide_emails,
    hide_url_credentials,
    hide_user_options,
)
from sidecar.core.redact_base import MARK, PERCENT, Step, compile_pattern, replacing
from sidecar.core.redact_cards import hide_cards
from sidecar.core.redact_names import hide_values
from sidecar.core.redact_tokens import hide_bearers, hide_private_keys, hide_tokens

MAX_ROUNDS = 6
"""Hiding one thing may bring out another next to it. Text that people write needs two rounds; the bound keeps text
that was made to need more from taking more than linear time."""


def redact(text: str, own: Step | None = None) -> str:
    """Return the text with secrets and personal data replaced, and without terminal colours, which split them up.

    `own` hides what the configuration asks for, too; see `redact_own`.
    """
    return redact_count(text, own)[0]


def redact_count(text: str, own: Step | None = None) -> tuple[str, int]:
    """Return the redacted text as `redact` does, and how many places in it were replaced."""
    original = data = text.encode("utf-8", "surrogatepass")
    for _ in range(MAX_ROUNDS):
        before = data
        data = _without_colours(data)
        if own is not None:
            data = own(data)  # first, while the text is as its author knows it
        for step in _STEPS:
            data = step(data)
        if data == before:
            break
    return data.decode("utf-8", "surrogatepass"), max(0, data.count(MARK) - original.count(MARK))


_ESCAPE_CHARACTER = (
    rb"(?:\x1b|" + PERCENT + rb"1[bB]|(?:\\|" + PERCENT + rb"5[cC])+(?:u001[bB]|x1[bB]|033|e))"  # as it is, or escaped
)
_without_colours: Step = replacing(
    compile_pattern(
        _ESCAPE_CHARACTER
        + rb"(?:\[|" + PERCENT + rb"5[bB])(?:[0-9;?]|" + PERCENT + rb"3[bBfF])*[A-Za-z]|\x1b"
    ),
    lambda _: b"",
)  # fmt: skip

_STEPS: tuple[Step, ...] = (
    hide_private_keys,
    hide_url_credentials,
    hide_connection_credentials,
    hide_user_options,
    hide_tokens,
    hide_bearers,
    hide_emails,
    hide_cards,
    hide_values,
)
"""What is known by its looks first: what hides it would change the names before values."""

"""A value that must never be shown."""

from __future__ import annotations

import hashlib
import hmac


class Secret:
    """Holds a secret so that no log, error, metric, `repr` or traceback shows it by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value. Call it only where the value leaves for the service it belongs to."""
        return self._value

    def hint(self) -> str:
        """Return at most the last four characters of a long value, for messages that must tell keys apart."""
        return f"…{self._value[-4:]}" if len(self._value) >= 16 else "…"

    def fingerprint(self) -> str:
        """Return a short name for the value from which it cannot be told back."""
        return hashlib.blake2b(self._value.encode(), digest_size=12, person=b"luminalog-secret").hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

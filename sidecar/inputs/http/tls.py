"""The listener's TLS, and its renewal: certificates are replaced while the daemon runs, by cert-manager for example.

Invariants
- New connections get what the files held when they last made sense together; those that are open keep what they have.
- Files that do not fit each other (a new certificate whose key is still to come) are tried again at the next look.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from pathlib import Path

from sidecar.config.model import HttpInput


class Certificates:
    """One listener's."""

    def __init__(self, config: HttpInput) -> None:
        self._config = config
        self._files = [name for name in (config.tls_cert, config.tls_key, config.tls_client_ca) if name is not None]
        self._seen: list[tuple[int, int, int]] = []
        self._told = ""

    def load(self) -> ssl.SSLContext | None:
        """Return the listener's TLS, if it has any. Raises OSError for files that cannot be used."""
        config = self._config
        if config.tls_cert is None:
            return None
        seen = self._stamps()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(config.tls_cert, config.tls_key)
        if config.tls_client_ca is not None:
            context.load_verify_locations(config.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        self._seen, self._told = seen, ""
        return context

    def renewed(self) -> tuple[ssl.SSLContext | None, str]:
        """Look at the files. Return new TLS if they have changed, or why that cannot be used, once."""
        if not self._files or self._stamps() == self._seen:
            return None, ""
        try:
            return self.load(), ""
        except OSError as error:
            why = reason(error)
            told, self._told = self._told, why
            return None, "" if why == told else why

    def _stamps(self) -> list[tuple[int, int, int]]:
        stamps = []
        for name in self._files:
            with contextlib.suppress(OSError):
                found = Path(name).stat()
                stamps.append((found.st_ino, found.st_mtime_ns, found.st_size))
        return stamps


def reason(error: OSError) -> str:
    """Say why files or an address cannot be used."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'not as expected').lower().replace('_', ' ')}"
    what = os.strerror(error.errno).lower() if error.errno is not None and error.errno > 0 else str(error.strerror)
    return what if error.filename is None else f"{error.filename}: {what}"

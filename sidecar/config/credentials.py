"""Secrets of a configuration: given in the file, through the environment, or in a file of their own.

Messages about a secret say what was expected of it, and show at most its last four characters.
"""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import UNSET, UnsetType

from sidecar.config.addresses import AddressError, check_url
from sidecar.config.files import MAX_SECRET_BYTES, FileProblemError, read_file
from sidecar.config.problems import Place, Source, quoted
from sidecar.config.secrets import Secret

_PAGERDUTY_KEY = re.compile(r"[A-Za-z0-9]{32}")


class Credentials:
    """Takes secrets out of a configuration, and remembers which files they were in."""

    def __init__(self, base: Path) -> None:
        self._base = base
        """Directory that relative paths start from."""
        self.files: list[str] = []

    def take(
        self, source: Source, place: Place, key: str, value: str | UnsetType, file: str | UnsetType
    ) -> Secret | None:
        """Return the secret of a key from its value or from the file that `<key>_file` names; None if neither is right.

        One newline at the end of a file is not part of the secret: editors and `echo` leave it there.
        """
        file_place = (*place, f"{key}_file")
        if source.has((*place, key)) and source.has(file_place):
            source.error(file_place, f"expected one of {source.key((*place, key))} and this, found both")
            return None
        if value is not UNSET:
            return Secret(value)
        return None if file is UNSET else self._from_file(source, file_place, file)

    def take_url(self, source: Source, place: Place, key: str, value: str | UnsetType, file: str | UnsetType) -> Secret:
        """As `take`, for an address to send to, which is required; an empty one after recording a problem."""
        url = self.take(source, place, key, value, file)
        given = [(*place, name) for name in (key, f"{key}_file") if source.has((*place, name))]
        if url is None:
            if not given:
                source.error(place, f"`{key}` is missing: expected it, or `{key}_file`")
            return Secret("")
        try:
            check_url(url.reveal())
        except AddressError as error:
            source.error(given[-1], str(error))
        return url

    def take_pagerduty_key(
        self, source: Source, place: Place, key: str, value: str | UnsetType, file: str | UnsetType
    ) -> Secret | None:
        """As `take`, for a PagerDuty integration key, which is 32 letters and digits."""
        secret = self.take(source, place, key, value, file)
        if secret is None or _PAGERDUTY_KEY.fullmatch(secret.reveal()):
            return secret
        text = secret.reveal()
        found = f"found {len(text)} characters" if len(text) != 32 else "found others among its characters"
        source.error(
            (*place, key if value is not UNSET else f"{key}_file"),
            f"expected a PagerDuty integration key of 32 letters and digits (A-Z, a-z, 0-9), {found} ({secret.hint()})",
        )
        return None

    def _from_file(self, source: Source, place: Place, name: str) -> Secret | None:
        path = self._base / name
        self.files.append(str(path))
        try:
            text = read_file(path, MAX_SECRET_BYTES).data.decode()
        except FileProblemError as problem:
            source.error(place, f"expected a file that holds the secret, but {problem}: {quoted(name)}")
            return None
        except UnicodeDecodeError:
            source.error(place, f"expected a file that holds text in UTF-8: {quoted(name)}")
            return None
        text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            source.error(place, f"expected a file that holds the secret, but it is empty: {quoted(name)}")
            return None
        return Secret(text)

"""Finds the files that an input's globs match.

Runs in a worker thread: a glob with `**` over a large tree may take a while. It touches the disk only and changes
nothing but its own cache; the caller applies what was found.

A listing that fails (no permission, too many open files) must not look like an empty one: `failed` says so, and
nothing may be concluded from a file's absence then.
"""
# Globs are matched on plain strings, exactly as they are configured.
# ruff: noqa: PTH100, PTH116, PTH119, PTH120, PTH207

from __future__ import annotations

import contextlib
import fnmatch
import glob
import os
import re
from collections.abc import Sequence

import msgspec

from sidecar.core.following import Identity
from sidecar.inputs.tail.disk import Sighting, existing_directory, sight


class Found(msgspec.Struct, frozen=True):
    """A file that a glob matched."""

    sighting: Sighting
    pattern: str
    target: str
    """Its path without symbolic links: events come under that name."""


class Scan(msgspec.Struct, frozen=True):
    """What one look at the disk found."""

    files: dict[str, Found] = {}
    """By path, in the order of the patterns, then of the names."""
    by_identity: dict[Identity, Found] = {}
    """The first name of each file."""
    failed: dict[str, str] = {}
    """Directories and files that could not be looked at, and why."""
    listed: frozenset[str] = frozenset()
    """Patterns whose directory could be listed, or does not exist."""
    directories: dict[str, Identity] = {}
    """Where new files and new bytes show first: what to watch. One that was created again is another one."""


class Scanner:
    """The globs of one input."""

    def __init__(self, patterns: Sequence[str], exclude: Sequence[str]) -> None:
        self.patterns = tuple(os.path.abspath(pattern) for pattern in patterns)
        self._exclude = [re.compile(fnmatch.translate(pattern)) for pattern in exclude]
        self._targets: dict[str, tuple[Identity, str]] = {}

    def excluded(self, path: str) -> bool:
        """Whether a glob of `exclude` matches the base name or the whole path."""
        name = os.path.basename(path)
        return any(pattern.match(name) or pattern.match(path) for pattern in self._exclude)

    def scan(self) -> Scan:
        """Look at the disk once."""
        files: dict[str, Found] = {}
        by_identity: dict[Identity, Found] = {}
        failed: dict[str, str] = {}
        listed: set[str] = set()
        directories: set[str] = set()
        for pattern in self.patterns:
            root = _root(pattern)
            directories.add(existing_directory(root))
            if self._listable(pattern, root, failed):
                listed.add(pattern)
            for path in sorted(glob.iglob(pattern, recursive=True)):
                if path in files or self.excluded(path):
                    continue
                if (shown := _writable(path)) != path:
                    failed[shown] = "its name is not UTF-8"
                    continue
                try:
                    sighting = sight(path)
                except OSError as error:
                    failed[path] = error.strerror or str(error)
                    continue
                if sighting is not None:
                    found = Found(sighting, pattern, self._target(sighting))
                    files[path] = found
                    by_identity.setdefault(sighting.identity, found)
                    directories.add(os.path.dirname(path))
                    directories.add(os.path.dirname(found.target))
        self._targets = {path: (found.sighting.identity, found.target) for path, found in files.items()}
        return Scan(files, by_identity, failed, frozenset(listed), _identities(directories))

    def _listable(self, pattern: str, root: str, failed: dict[str, str]) -> bool:
        # glob takes a directory that cannot be listed for an empty one.
        if not glob.has_magic(pattern):
            return True
        try:
            with os.scandir(root):
                return True
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError as error:
            failed[root] = error.strerror or str(error)
            return False

    def _target(self, sighting: Sighting) -> str:
        # Resolving costs a system call for each part of the path: only when another file stands there.
        identity, target = self._targets.get(sighting.path, (None, ""))
        return target if identity == sighting.identity else os.path.realpath(sighting.path)


def _writable(path: str) -> str:
    """Return a path as it can be written everywhere: positions, sources and logs hold text."""
    return path.encode("utf-8", "backslashreplace").decode()


def _identities(directories: set[str]) -> dict[str, Identity]:
    identities = {}
    for directory in directories:
        with contextlib.suppress(OSError):
            found = os.stat(directory)
            identities[directory] = Identity(found.st_dev, found.st_ino)
    return identities


def _root(pattern: str) -> str:
    """Return the directory above a pattern's first wildcard."""
    root = os.path.dirname(pattern)
    while glob.has_magic(root):
        root = os.path.dirname(root)
    return root

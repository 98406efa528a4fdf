"""A journalctl for tests, as strict as the real one in what it refuses, and with the same traps.

The journal is a file of JSON lines in a directory. Beside it, `quirks` makes it behave like systemd 252 (see below),
`refusal` is said on stderr instead of anything else, `garbage` is printed before the entries, and `calls` records each
command line and the names of the environment. Traps, as the real journalctl 252 shows them, and the source of 257:

- `--follow` shows the current boot only, whatever `--boot` says, and without `--no-tail` ten entries of it.
- `--after-cursor` in 252 skips an entry even if that of the cursor is gone or filtered out.
- A cursor whose entry is gone is no error: reading begins somewhere behind.
- Without `--all` a long field is null.
"""

from __future__ import annotations

import getopt
import json
import os
import re
import select
import sys
from typing import Any

OPTIONS = (
    *("output=", "no-pager", "all", "directory=", "follow", "no-tail", "boot", "cursor=", "after-cursor=", "since="),
    *("unit=", "identifier=", "priority="),
)
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
CURSOR = re.compile(r"s=[0-9a-f]+;i=([0-9a-f]+);b=[0-9a-f]+;m=[0-9a-f]+;t=([0-9a-f]+);x=[0-9a-f]+")

Entry = dict[str, Any]


class RefusedError(Exception):
    """What the real one says before it exits with 1."""


class Query:
    """One command line."""

    def __init__(self, arguments: list[str], *, boot: str, old: bool) -> None:
        try:
            options, self.matches = getopt.getopt(arguments, "", OPTIONS)
        except getopt.GetoptError as error:
            raise RefusedError(f"journalctl: {error}") from None
        if any(name not in {f"--{option.rstrip('=')}" for option in OPTIONS} for name, _ in options):
            raise RefusedError("journalctl: abbreviated option")
        self.boot, self.old = boot, old
        self.units = [_unit(value) for name, value in options if name == "--unit"]
        self.identifiers = [value for name, value in options if name == "--identifier"]
        given = dict(options)
        if given.get("--output") != "json":
            raise RefusedError(f"Unknown output format '{given.get('--output')}'.")
        if len({"--since", "--cursor", "--after-cursor"} & set(given)) > 1:
            raise RefusedError("Please specify only one of --since=, --cursor=, and --after-cursor=.")
        self.follow = "--follow" in given
        self.this_boot = self.follow or "--boot" in given
        self.long = "--all" in given
        self.last = (
            10 if self.follow and not {"--no-tail", "--cursor", "--after-cursor", "--since"} & set(given) else None
        )
        self.priorities = _priorities(given["--priority"]) if "--priority" in given else None
        self.cursor = given.get("--cursor", given.get("--after-cursor"))
        self.after = "--after-cursor" in given
        self.skip: int | None = None
        if self.cursor is not None and not CURSOR.fullmatch(self.cursor):
            raise RefusedError("Failed to seek to cursor: Invalid argument")
        self.since = 0
        if "--since" in given:
            found = re.fullmatch(r"@(\d+)\.(\d{6})", given["--since"])
            if not found:
                raise RefusedError(f"Failed to parse timestamp: {given['--since']}")
            self.since = int(found[1] + found[2])
        for match in self.matches:
            if not re.fullmatch(r"[A-Z_][A-Z0-9_]*=.*", match, re.S):
                raise RefusedError(f"Failed to add match '{match}': Invalid argument")

    def entries(self, journal: list[Entry]) -> list[Entry]:
        """Return what is to be printed of a journal."""
        chosen = [entry for entry in journal if self._chosen(entry)]
        if self.cursor is not None:
            at = sum(_order(entry["__CURSOR"]) < _order(self.cursor) for entry in chosen)
            if self.skip is None:
                found = at < len(chosen) and (self.old or chosen[at]["__CURSOR"] == self.cursor)
                self.skip = int(self.after and found)
            chosen = chosen[at + self.skip :]
        if self.last is not None:
            chosen = chosen[-self.last :]
        if not self.long:
            chosen = [{name: _short(value) for name, value in entry.items()} for entry in chosen]
        return chosen

    def _chosen(self, entry: Entry) -> bool:
        matches: dict[str, set[str]] = {}
        for match in self.matches:
            name, _, value = match.partition("=")
            matches.setdefault(name, set()).add(value)
        about = {entry.get("_SYSTEMD_UNIT"), entry.get("COREDUMP_UNIT")}
        if entry.get("_PID") == "1":
            about.add(entry.get("UNIT"))
        return (
            (not self.this_boot or entry["_BOOT_ID"] == self.boot)
            and int(entry["__REALTIME_TIMESTAMP"]) >= self.since
            and (not self.units or bool(about & set(self.units)))
            and (not self.identifiers or entry.get("SYSLOG_IDENTIFIER") in self.identifiers)
            and (self.priorities is None or entry.get("PRIORITY") in self.priorities)
            and all(entry.get(name) in values for name, values in matches.items())
        )


def _unit(name: str) -> str:
    return name if "." in name else f"{name}.service"


def _short(value: Any) -> Any:
    return None if isinstance(value, str) and len(value) >= 4096 else value


def _order(cursor: str) -> tuple[int, int]:
    found = CURSOR.fullmatch(cursor)
    assert found
    return int(found[2], 16), int(found[1], 16)


def _priorities(text: str) -> set[str]:
    first, _, last = text.rpartition("..")
    try:
        low, high = (LEVELS.index(name) if name in LEVELS else int(name) for name in (first or "0", last))
    except ValueError:
        raise RefusedError(f"Unknown log level {text}") from None
    return {str(number) for number in range(min(low, high), max(low, high) + 1)}


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def load(directory: str) -> list[Entry]:
    text = read(os.path.join(directory, "journal"))
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def main(directory: str) -> None:
    """Be a journalctl."""
    with open(os.path.join(directory, "calls"), "a", encoding="utf-8") as calls:
        calls.write(json.dumps([sys.argv[1:], sorted(os.environ)]) + "\n")
    try:
        if refusal := read(os.path.join(directory, "refusal")):
            raise RefusedError(refusal)
        old = os.path.exists(os.path.join(directory, "quirks"))
        query = Query(sys.argv[1:], boot=read(os.path.join(directory, "boot")), old=old)
    except RefusedError as refused:
        sys.exit(str(refused))
    sys.stdout.write(read(os.path.join(directory, "garbage")))
    shown = 0
    closed = select.poll()
    closed.register(sys.stdout, 0)
    while True:
        entries = query.entries(load(directory))
        for entry in entries[shown:]:
            sys.stdout.write(json.dumps(entry) + "\n")
        sys.stdout.flush()
        shown = max(shown, len(entries))
        if not query.follow or closed.poll(5):
            return

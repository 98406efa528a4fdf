"""Lists the licences of all that comes with the program: `python docs/licences.py docs/licences.md`.

What is installed says itself under which licence it stands (`License-Expression`, else the classifiers, else the first
line of `License`; Core metadata 2.4). A package that is not installed, as it is for other platforms, keeps its row.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements.lock"
BEGIN, END = "<!-- licences: written by docs/licences.py -->", "<!-- end -->"


def locked() -> list[str]:
    """Return the names of all that requirements.lock holds."""
    return re.findall(r"^([a-z0-9-]+)==", LOCK.read_text(), re.MULTILINE)


def licence_of(name: str) -> str | None:
    """Return what an installed package says of its licence; None: it is not installed."""
    try:
        found = distribution(name).metadata
    except PackageNotFoundError:
        return None
    classifiers = [line.rpartition(" :: ")[2] for line in found.get_all("Classifier") or [] if line[:7] == "License"]
    written = (found.get("License") or "").strip().partition("\n")[0]
    return found.get("License-Expression") or " or ".join(sorted(classifiers)) or written or "unknown"


def rows(text: str) -> dict[str, str]:
    """Return the licences by package that a page lists."""
    found = re.findall(r"^\| ([a-z0-9-]+) \| (.+) \|$", text.partition("|---|---|")[2], re.MULTILINE)
    return dict(found)


def update(text: str) -> str:
    """Return a page with the table as it is now."""
    before, listed = text.partition(BEGIN)[0], rows(text)
    lines = [f"| {name} | {licence_of(name) or listed.get(name, 'unknown')} |" for name in locked()]
    table = "\n".join(["| package | licence |", "|---|---|", *lines])
    return f"{before}{BEGIN}\n{table}\n{END}\n"


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        path = Path(argument)
        path.write_text(update(path.read_text()))

"""Loading the configuration for a command that needs one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from sidecar.config.load import load
from sidecar.config.model import Config


def load_or_report(path: Path, environment: Mapping[str, str]) -> Config | None:
    """Return the configuration; None after saying on stderr what is wrong with it."""
    loaded = load(path, environment)
    for problem in loaded.problems:
        print(problem, file=sys.stderr)
    return loaded.config

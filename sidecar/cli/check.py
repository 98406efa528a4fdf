"""`check`: everything that is wrong with a configuration, before the daemon is asked to run with it.

Loads it exactly as `run` does, then looks at what loading cannot know: whether the state directory can be written and
whether the directories to watch are there. Those depend on the machine and are warnings only.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import sys
from pathlib import Path

from sidecar.config.load import Loaded, load
from sidecar.config.model import Config, TailInput
from sidecar.config.problems import Problem, Severity


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--config", required=True, metavar="FILE", help="configuration file")
    parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Check the file. Returns 0 if it can be used, 1 if it cannot, 2 if there is no such file."""
    path = Path(args.config)
    if path.is_dir():
        print(f"{path}: expected a file, found a directory", file=sys.stderr)
        return 2
    if not path.exists():
        print(f"{path}: no such file", file=sys.stderr)
        return 2
    loaded = load(path, os.environ)
    problems = loaded.problems + (_on_this_machine(str(path), loaded.config) if loaded.config else [])
    for problem in problems:
        print(problem, file=sys.stderr)
    print(_verdict(str(path), loaded, problems), file=sys.stderr)
    if args.json:
        print(json.dumps(_as_json(loaded, problems), indent=2, ensure_ascii=False))
    return 0 if loaded.config else 1


def _verdict(path: str, loaded: Loaded, problems: list[Problem]) -> str:
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    warnings = _count(len(problems) - errors, "warning")
    if loaded.config is None:
        return f"{path}: {_count(errors, 'error')}, {warnings}"
    config = loaded.config
    parts = (_count(len(config.inputs), "input"), _count(len(config.channels), "channel"))
    return f"{path}: fine ({', '.join(parts)}, {_count(len(config.rules), 'enabled rule')}; {warnings})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _as_json(loaded: Loaded, problems: list[Problem]) -> dict[str, object]:
    return {
        "ok": loaded.config is not None,
        "problems": [
            {
                "file": problem.file,
                "line": problem.line,
                "path": problem.path,
                "rule": problem.rule,
                "severity": problem.severity.value,
                "message": problem.message,
            }
            for problem in problems
        ],
        "files": list(loaded.files),
    }


def _on_this_machine(file: str, config: Config) -> list[Problem]:
    problems: list[Problem] = []

    def warn(path: str, message: str) -> None:
        problems.append(Problem(file=file, path=path, message=message, severity=Severity.WARNING))

    if config.state_dir is not None and not _writable(Path(config.state_dir)):
        warn("state_dir", f"cannot be written here by this user: {config.state_dir}")
    for i, tail in enumerate(config.inputs):
        if not isinstance(tail, TailInput):
            continue
        for j, pattern in enumerate(tail.paths):
            directory = _fixed_directory(pattern)
            if not directory.is_dir():
                warn(f"inputs[{i}].paths[{j}]", f"the directory is not there: {directory}")
            elif not os.access(directory, os.R_OK | os.X_OK):
                warn(f"inputs[{i}].paths[{j}]", f"the directory cannot be read by this user: {directory}")
    return problems


def _writable(directory: Path) -> bool:
    """Whether files can be made in a directory, or it could be made first."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)


def _fixed_directory(pattern: str) -> Path:
    """Return the deepest directory of a glob that holds no wildcard."""
    directory = Path(pattern).parent
    while glob.has_magic(str(directory)):
        directory = directory.parent
    return directory

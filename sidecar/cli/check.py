"""`check`: everything that is wrong with a configuration, before the daemon is asked to run with it.

Loads it exactly as `run` does, has the linter look at its rules, then looks at what loading cannot know: whether the
state directory can be written and whether the directories to watch are there. Those depend on the machine: they are
warnings, and fail nothing.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import sys
import time
from pathlib import Path

from rich.text import Text

from sidecar.cli.terminal import console_for, printable
from sidecar.config.lint import lint, warn_of_unmatched
from sidecar.config.load import Loaded, load
from sidecar.config.model import Config, TailInput
from sidecar.config.problems import Problem, Severity
from sidecar.replay.driver import replay
from sidecar.replay.logs import MissingError, find

EPILOG = """\
examples:
  check --config sidecar.yaml                            what is wrong, and what is probably not meant
  check --config sidecar.yaml --strict                   in a pipeline: warnings fail, too
  check --config sidecar.yaml --against /var/log/app     also: which rules match nothing of these logs

docs/linter.md explains the codes, such as R005, and how to silence them.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.add_argument("--config", required=True, metavar="FILE", help="configuration file")
    parser.add_argument(
        "--strict", action="store_true", help="fail on warnings, too, other than those about this machine"
    )
    parser.add_argument(
        "--against",
        action="append",
        metavar="PATH",
        help="also say which rules match nothing of these old logs: a file, directory or glob; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Check the file. 0: it can be used. 1: it cannot, or is not as `--strict` wants it. 2: there is no such file."""
    path = Path(args.config)
    if path.is_dir():
        print(f"{path}: expected a file, found a directory", file=sys.stderr)
        return 2
    if not path.exists():
        print(f"{path}: no such file", file=sys.stderr)
        return 2
    loaded = lint(load(path, os.environ), str(path))
    if args.against and loaded.config is not None:
        try:
            loaded = _against(loaded, loaded.config, args.against)
        except MissingError as error:
            print(f"--against: {error}", file=sys.stderr)
            return 2
    here = _on_this_machine(str(path), loaded.config) if loaded.config else []
    _show([*loaded.problems, *here], _verdict(str(path), loaded, len(here)))
    failed = loaded.config is None or (args.strict and bool(loaded.problems))
    if args.json:
        print(json.dumps(_as_json(loaded, [*loaded.problems, *here], ok=not failed), indent=2, ensure_ascii=False))
    return 1 if failed else 0


def _against(loaded: Loaded, config: Config, paths: list[str]) -> Loaded:
    """Raises `MissingError`."""
    outcome = replay(config, find(paths, time.time_ns()))
    for problem in outcome.stats.problems:
        print(problem, file=sys.stderr)
    matches = outcome.simulation.matches
    return warn_of_unmatched(loaded, lambda rule: matches[rule] > 0, f"{outcome.stats.lines:,} lines")


def _show(problems: list[Problem], verdict: str) -> None:
    console = console_for(sys.stderr)
    for problem in problems:
        words = Text(printable(str(problem)))
        words.highlight_words([problem.code or "warning"], "yellow bold")
        if problem.severity is Severity.ERROR:
            words.stylize("red")
        console.print(words, soft_wrap=True)
    console.print(Text(printable(verdict)), soft_wrap=True)


def _verdict(path: str, loaded: Loaded, here: int) -> str:
    errors = sum(problem.severity is Severity.ERROR for problem in loaded.problems)
    warnings = _count(len(loaded.problems) + here - errors, "warning")
    if loaded.withheld:
        warnings += f", {loaded.withheld} ignored"
    if loaded.config is None:
        return f"{path}: {_count(errors, 'error')}, {warnings}"
    config = loaded.config
    parts = (_count(len(config.inputs), "input"), _count(len(config.channels), "channel"))
    return f"{path}: fine ({', '.join(parts)}, {_count(len(config.rules), 'enabled rule')}; {warnings})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _as_json(loaded: Loaded, problems: list[Problem], *, ok: bool) -> dict[str, object]:
    return {
        "ok": ok,
        "problems": [
            {
                "file": problem.file,
                "line": problem.line,
                "path": problem.path,
                "rule": problem.rule,
                "severity": problem.severity.value,
                "code": problem.code,
                "message": problem.message,
            }
            for problem in problems
        ],
        "ignored": loaded.withheld,
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

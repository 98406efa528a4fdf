"""`test`: runs the tests of rules on the daemon's own engine, with a simulated clock and nobody told."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from sidecar.cli.junit import junit
from sidecar.cli.terminal import console_for, json_text, printable
from sidecar.config.load import Loaded, load, load_rules
from sidecar.config.rule_tests import RuleTest, is_tests, rules_beside
from sidecar.replay.rule_tests import Difference, run_test

EPILOG = """\
examples:
  test --config sidecar.yaml                     the tests of all rules of a configuration
  test config/rules.d/*.yaml                     rules by themselves: neither channels nor secrets are needed
  test --config sidecar.yaml --rule "API errors" --junit report.xml

docs/rule-tests.md says how to write them.
"""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a test went."""

    test: RuleTest
    differences: list[Difference]
    """Nothing: it passed."""
    seconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.add_argument("--config", metavar="FILE", type=Path, help="configuration file")
    parser.add_argument(
        "files", nargs="*", metavar="FILE", type=Path, help="files of rules, instead of a configuration"
    )
    parser.add_argument("--rule", action="append", metavar="NAME", help="only tests of this rule; may be repeated")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="also write a report in JUnit's form")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    """0: all tests passed. 1: one failed. 2: there is none, or the rules cannot be used."""
    if (args.config is None) is not bool(args.files):
        print("expected either --config FILE or files of rules", file=sys.stderr)
        return 2
    for path in [args.config] if args.config else args.files:
        if not path.is_file():
            print(f"{path}: no such file", file=sys.stderr)
            return 2
    files = _rules(args.files)
    if args.files and not files:
        print("there are no rules beside these tests", file=sys.stderr)
        return 2
    loaded = load(args.config, os.environ, tests=True) if args.config else load_rules(files, os.environ)
    if loaded.config is None:
        for problem in loaded.problems:
            print(problem, file=sys.stderr)
        return 2
    enabled = {rule.name for rule in loaded.config.rules}
    wanted = set(args.rule or enabled)
    if unknown := wanted - enabled:
        print(f"--rule: there is no enabled rule {', '.join(map(repr, sorted(unknown)))}", file=sys.stderr)
        return 2
    tests = [test for test in loaded.tests if test.rules & wanted]
    if not tests:
        print("there are no tests; docs/rule-tests.md says how to write one", file=sys.stderr)
        return 2
    results = [_run(loaded, test) for test in tests]
    if args.junit is not None:
        try:
            args.junit.write_bytes(junit(results))
        except OSError as error:
            print(f"--junit: {error}", file=sys.stderr)
            return 2
    if args.json:
        print(json_text({"tests": [_as_json(result) for result in results]}))
    else:
        _show(console_for(sys.stdout), results, _untested(loaded))
    return 1 if any(result.differences for result in results) else 0


def _rules(files: list[Path]) -> list[Path]:
    """Return files of rules; of one with tests, as a shell's `*` gives it, those that it is about."""
    found = [one for path in files for one in (rules_beside(path) if is_tests(path) else [path])]
    return list(dict.fromkeys(found))


def _run(loaded: Loaded, test: RuleTest) -> Result:
    assert loaded.config is not None
    began = time.perf_counter()
    found = run_test(loaded.config, test)
    return Result(test=test, differences=found, seconds=time.perf_counter() - began)


def _untested(loaded: Loaded) -> list[str]:
    tested = {rule for test in loaded.tests for rule in test.rules}
    return [built.rule.name for built in loaded.rules if built.enabled and built.rule.name not in tested]


def _show(console: Console, results: list[Result], untested: list[str]) -> None:
    about = None
    for result in results:
        heading = f"{result.test.file}: {', '.join(sorted(result.test.rules))}"
        if heading != about:
            about = heading
            console.print(Text(printable(heading), style="bold"), soft_wrap=True)
        passed = not result.differences
        line = Text("  ok    " if passed else "  FAIL  ", style="green" if passed else "red bold")
        console.print(line.append(printable(result.test.name), style="default"), soft_wrap=True)
        for difference in result.differences:
            console.print(Text(f"        {printable(difference.where)}"), soft_wrap=True)
            for mark, style, text in (("-", "red", difference.wanted), ("+", "green", difference.found)):
                for part in text.splitlines():
                    console.print(Text(f"          {mark} {printable(part)}", style=style), soft_wrap=True)
    counts = Counter(bool(result.differences) for result in results)
    if untested:
        console.print(Text(f"without a test: {printable(', '.join(untested))}"), soft_wrap=True)
    console.print(Text(f"{counts[False]} passed, {counts[True]} failed"))


def _as_json(result: Result) -> dict[str, object]:
    test = result.test
    return {
        "name": test.name,
        "file": test.file,
        "path": test.place,
        "rules": sorted(test.rules),
        "passed": not result.differences,
        "differences": result.differences,
    }

"""The console script `luminalog-sidecar`, also `python -m sidecar`.

A command's module is loaded only when the command is named: checking a file need not wait for an HTTP client.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

from sidecar import __version__

COMMANDS = {
    "run": "run the daemon",
    "check": "validate a configuration file and all that it names",
    "test": "run the tests of rules, with a simulated clock and nobody told",
    "send-test": "send a real test event to each channel and report what it answered",
    "replay": "run the rules over old logs: every page that would have gone out",
    "explain": "say what becomes of one record, or why an incident did or did not page",
    "incidents": "show what is open and what happened to it; acknowledge it, close it, or write it up",
    "silences": "show silences; add one, or end one",
    "report": "say how much was paged, by what and when, and how fast it was answered",
    "rejected": "show the last records that the running daemon could not decode",
    "schema": "print the JSON Schema of the configuration file",
    "demo": "show the whole program on this machine, with no account",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 fine, 1 what was asked about failed, 2 it could not be asked."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="luminalog-sidecar", description="Watches logs and pages people.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    if not argv or argv[0] not in COMMANDS:
        parser.parse_args(argv)  # help, the version, or what is wrong
        return 2
    module = import_module(f"sidecar.cli.{argv[0].replace('-', '_')}")
    command = commands.choices[argv[0]]
    module.add_arguments(command)
    args = command.parse_intermixed_args(argv[1:])  # as people write: `silences add --for 2h service=checkout`
    try:
        code: int = module.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would say so once more at its end
        code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())

"""The commands, and the parser of what is typed behind the program's name.

A command's module is loaded only when the command is named: checking a file need not wait for an HTTP client.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from types import ModuleType

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
    "schema": "print the JSON Schema of the configuration file, of rules or of their tests",
    "completion": "print what a shell needs to complete commands, options and files",
    "demo": "show the whole program on this machine, with no account",
}


def new_parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the program's parser and that of each command, which does not know its arguments yet."""
    parser = argparse.ArgumentParser(
        prog="luminalog-sidecar",
        description="Watches logs and pages people.",
        epilog="To see all of it with no account: luminalog-sidecar demo. Each command has examples: COMMAND --help.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    return parser, commands.choices


def module_of(command: str) -> ModuleType:
    """Load and return the module of a command."""
    return import_module(f"sidecar.cli.{command.replace('-', '_')}")


def whole_parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the same with all arguments of all commands."""
    parser, commands = new_parser()
    for name, command in commands.items():
        module_of(name).add_arguments(command)
    return parser, commands

"""The console script `luminalog-sidecar`, also `python -m sidecar`."""

from __future__ import annotations

import argparse
import sys

from sidecar import __version__
from sidecar.cli import check, demo, run, schema, send_test

COMMANDS = {"run": run, "check": check, "send-test": send_test, "schema": schema, "demo": demo}


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 fine, 1 what was asked about failed, 2 it could not be asked."""
    parser = argparse.ArgumentParser(prog="luminalog-sidecar", description="Watches logs and pages people.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=f"{module.HELP[0].upper()}{module.HELP[1:]}.")
        module.add_arguments(command)
    args = parser.parse_args(argv)
    code: int = COMMANDS[args.command].run(args)
    return code


if __name__ == "__main__":
    sys.exit(main())

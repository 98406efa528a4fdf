"""Run the daemon."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

import uvloop

from sidecar.app import App, StartError
from sidecar.telemetry.log import LibraryHandler
from sidecar.telemetry.telemetry import Telemetry

HELP = "run the daemon"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--config", metavar="FILE", type=Path, required=True, help="YAML, TOML or JSON file")


def run(args: argparse.Namespace) -> int:
    """Run until stopped by a signal. 2: it could not start."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_run(args.config))
        except StartError as error:
            print(error, file=sys.stderr)
            return 2
    return 0


async def _run(path: Path) -> None:
    telemetry = Telemetry()
    logging.basicConfig(handlers=[LibraryHandler(telemetry.emit)], level=logging.WARNING)
    await App(path, os.environ, telemetry).run()

"""Run the daemon."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import logging
import os
import sys
import time
from pathlib import Path

import uvloop

from sidecar.app import App, Signals, StartError
from sidecar.telemetry.log import LibraryHandler, Log
from sidecar.telemetry.stderr import Unblocked
from sidecar.telemetry.telemetry import Telemetry

COLLECTED_AT = (10_000, 20, 50)
"""Garbage is looked for after so many new objects, instead of 700: with dozens of requests under way that is a tenth of
the work, and finds next to nothing. What was imported is never looked through again."""

EPILOG = """\
examples:
  run --config sidecar.yaml                    until SIGTERM or Ctrl-C; SIGHUP reloads, and so does a changed file
  app 2>&1 | luminalog-sidecar run --config stdin.yaml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.add_argument("--config", metavar="FILE", type=Path, required=True, help="YAML, TOML or JSON file")


def run(args: argparse.Namespace) -> int:
    """Run until stopped by a signal. 1: it crashed. 2: it could not start."""
    gc.freeze()
    gc.set_threshold(*COLLECTED_AT)
    faulthandler.enable()  # a watchdog ends what hangs with SIGABRT: its last words say where
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return 0 if runner.run(_run(args.config)) else 1
        except StartError as error:
            print(error, file=sys.stderr)
            return 2


async def _run(path: Path) -> bool:
    signals = Signals()
    signals.install(asyncio.get_running_loop())
    telemetry = Telemetry(Log(stream=Unblocked(sys.stderr.fileno()), clock=time.time))
    logging.basicConfig(handlers=[LibraryHandler(telemetry.emit)], level=logging.WARNING)
    return await App(path, os.environ, telemetry, signals).run()

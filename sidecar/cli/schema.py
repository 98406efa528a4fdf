"""`schema`: the JSON Schema of the configuration file, for editors and for checks before a deployment."""

from __future__ import annotations

import argparse
import json

from sidecar.config.schema import json_schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: it has none."""


def run(args: argparse.Namespace) -> int:
    """Print the schema on standard output. Returns 0."""
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0

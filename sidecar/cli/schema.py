"""`schema`: JSON Schemas of the files that people write, for editors and for checks before a deployment."""

from __future__ import annotations

import argparse
import json

from sidecar.config.schema import json_schema

EPILOG = """\
examples:
  schema > schema.json                of the configuration file
  schema rules > rules.schema.json    of files that `rules_files` names
  schema tests > tests.schema.json    of files with tests beside them

Editors with the YAML language server take a file's schema from a comment in its first line:
  # yaml-language-server: $schema=schema.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.add_argument(
        "kind",
        nargs="?",
        default="config",
        choices=("config", "rules", "tests"),
        help="of which file (default: config)",
    )


def run(args: argparse.Namespace) -> int:
    """Print the schema on standard output. Returns 0."""
    print(json.dumps(json_schema(args.kind), indent=2, ensure_ascii=False))
    return 0

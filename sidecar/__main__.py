"""The console script `luminalog-sidecar`, also `python -m sidecar`."""

from __future__ import annotations

import os
import sys

from sidecar.cli.parsing import COMMANDS, module_of, new_parser


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 fine, 1 what was asked about failed, 2 it could not be asked."""
    argv = sys.argv[1:] if argv is None else argv
    parser, commands = new_parser()
    if not argv or argv[0] not in COMMANDS:
        parser.parse_args(argv)  # help, the version, or what is wrong
        return 2
    module = module_of(argv[0])
    command = commands[argv[0]]
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

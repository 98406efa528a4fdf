"""`completion`: what a shell needs to complete this program's commands, options and files."""

from __future__ import annotations

import argparse

import shtab

from sidecar.cli.parsing import whole_parser

EPILOG = """\
examples:
  completion bash > ~/.local/share/bash-completion/completions/luminalog-sidecar
  completion zsh > "${fpath[1]}/_luminalog-sidecar"
  completion fish > ~/.config/fish/completions/luminalog-sidecar.fish
"""

COMPLETED = {"FILE": shtab.FILE, "PATH": shtab.FILE, "DIR": shtab.DIRECTORY}
"""What stands for an argument in the help, and what the shell offers for it."""

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.add_argument("shell", choices=SHELLS, help="for which shell")


def run(args: argparse.Namespace) -> int:
    """Print the script on standard output. Returns 0."""
    parser, commands = whole_parser()
    for command in commands.values():
        for action in command._actions:
            if action.metavar in COMPLETED:
                action.complete = COMPLETED[action.metavar]  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell=args.shell))
    return 0

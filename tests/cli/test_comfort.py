"""Help with examples, completion, colours on terminals: what makes the command line easy."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.__main__ import main
from sidecar.cli.completion import SHELLS
from sidecar.cli.parsing import COMMANDS, whole_parser

SHELL_CHECKS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_examples_that_parse(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    _, found, examples = capsys.readouterr().out.partition("examples:\n")
    assert found
    lines = [line.strip() for line in examples.splitlines() if line.startswith(f"  {command}")]
    assert lines
    for line in lines:
        words = shlex.split(line.partition("  ")[0].partition(" > ")[0])
        _, commands = whole_parser()
        commands[command].parse_intermixed_args(words[1:])


@pytest.mark.parametrize("shell", SHELLS)
def test_a_completion_script_knows_every_command_and_is_one_of_its_shell(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command in script for command in COMMANDS)
    assert "--against" in script or "against" in script
    if shutil.which(shell) is not None:
        path = tmp_path / "script"
        path.write_text(script)
        subprocess.run([*SHELL_CHECKS[shell], path], check=True)


def completed(tmp_path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Return what bash offers for the last of some words."""
    main(["completion", "bash"])
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    typed = shlex.join(["luminalog-sidecar", *words])
    last, before = words[-1], (["luminalog-sidecar", *words])[-2]
    code = (
        f". {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; "
        f"_shtab_luminalog_sidecar luminalog-sidecar {shlex.quote(last)} {before}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    result = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    return result.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_options_words_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sidecar.yaml").touch()
    assert completed(tmp_path, capsys, "si") == ["silences"]
    assert completed(tmp_path, capsys, "check", "--ag") == ["--against"]
    assert completed(tmp_path, capsys, "incidents", "res") == ["resolve"]
    assert completed(tmp_path, capsys, "check", "--config", "side") == ["sidecar.yaml"]


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """Return what the program writes to a terminal."""
    ours, theirs = pty.openpty()
    env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    with os.fdopen(ours, "rb", buffering=0) as reading:
        child = subprocess.Popen(
            [sys.executable, "-m", "sidecar", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env
        )
        os.close(theirs)
        shown = b""
        try:
            while part := reading.read(4096):
                shown += part
        except OSError:  # what a terminal says at its end
            pass
        child.wait()
    return shown.decode()


@pytest.mark.parametrize("command", ["check", "test"])
def test_colours_are_for_terminals_without_no_color(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sidecar.yaml"
    path.write_text(
        "rules: [{ruleName: A, channels: [], groupBy: [uuid], tests: [{name: x, logs: [{line: x}], expect: []}]}]\n"
    )
    assert "\x1b[" in on_a_terminal(command, "--config", str(path))
    plain = on_a_terminal(command, "--config", str(path), NO_COLOR="1")
    assert "R005" in plain or "ok" in plain
    assert "\x1b[3" not in plain
    main([command, "--config", str(path)])
    assert "\x1b" not in "".join(capsys.readouterr())

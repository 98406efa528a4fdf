"""Fuzzes each decoder for a while, one after the other, and keeps what is found as files that can be replayed.

    make fuzz SECONDS=600 ARGS="--target auto --target body"
    .venv/bin/python -m fuzz --replay fuzz/out/findings/auto/crash-…

Exits 1 on a finding, 2 if it cannot fuzz here.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import random
import subprocess
import sys
from pathlib import Path

OUT = Path(__file__).parent / "out"
SLOWEST = 20
"""Seconds that one input of a few kilobytes may take."""
MAX_INPUT = 4096
MAX_MEGABYTES = 2048


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="in all, shared among the targets")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run")
    parser.add_argument("--target", action="append", help="a decoder to fuzz; all, if none is named")
    parser.add_argument("--replay", type=Path, help="a finding to run once more, without fuzzing")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args, rest = parser.parse_known_args()
    if args.one:
        return fuzz_one(args.one, rest)
    if args.replay:
        return replay(args.replay, args.target[0] if args.target else args.replay.parent.name)
    if importlib.util.find_spec("atheris") is None:
        here = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
        needed = "atheris is not installed; it is built for Python 3.11 to 3.13 on Linux x86_64"
        print(f"{needed}, this is {here}. `pytest tests/core/decode` fuzzes too, with hypothesis.", file=sys.stderr)
        return 2
    from fuzz.targets import TARGETS

    unknown = set(args.target or ()) - TARGETS.keys()
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    seed = random.randrange(1, 2**31) if args.seed is None else args.seed
    chosen = args.target or list(TARGETS)
    found = [name for name in chosen if run(name, max(2, args.seconds // len(chosen)), seed)]
    return 1 if found else 0


def run(target: str, seconds: int, seed: int) -> bool:
    """Fuzz one decoder in a process of its own; return whether something was found."""
    from fuzz.targets import seeds

    corpus, findings = OUT / "corpus" / target, OUT / "findings" / target
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(seeds(target)):
        (corpus / f"seed-{number:03}").write_bytes(sample[:MAX_INPUT])
    print(f"{target}: seed {seed}, {seconds} s … ", end="", flush=True)
    limits = [
        f"-max_total_time={seconds}",
        f"-timeout={SLOWEST}",
        f"-max_len={MAX_INPUT}",
        f"-rss_limit_mb={MAX_MEGABYTES}",
    ]
    command = [sys.executable, "-m", "fuzz", "--one", target, f"-seed={seed}", f"-artifact_prefix={findings}/", *limits]
    before = set(findings.iterdir())
    done = subprocess.run([*command, str(corpus)], capture_output=True, text=True, errors="replace", check=False)
    found = sorted(set(findings.iterdir()) - before)
    print("found something" if found or done.returncode else _summary(done.stderr))
    if found or done.returncode:
        told = [line for line in done.stderr.splitlines() if not line.startswith(("INFO: ", "#", "WARNING: "))]
        print(done.stdout[-6000:], *told[-20:], sep="\n", file=sys.stderr)
        for path in found:
            print(f"replay it with: python -m fuzz --replay {path}", file=sys.stderr)
    return bool(found) or done.returncode != 0


def fuzz_one(target: str, arguments: list[str]) -> int:
    """Fuzz in this process, until libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["sidecar.core"]):
        from fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *arguments], TARGETS[target])
    atheris.Fuzz()
    return 0


def replay(path: Path, target: str) -> int:
    """Run a finding once more; what is wrong is raised."""
    from fuzz.targets import TARGETS

    if target not in TARGETS:
        print(f"say which decoder it is for: --target {{{','.join(TARGETS)}}}", file=sys.stderr)
        return 2
    TARGETS[target](path.read_bytes())
    print("nothing is wrong")
    return 0


def _summary(log: str) -> str:
    done = [line for line in log.splitlines() if "DONE" in line]
    runs = done[-1].split()[0].lstrip("#") if done else "?"
    return f"{runs} inputs, nothing found"


if __name__ == "__main__":
    sys.exit(main())

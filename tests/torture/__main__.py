"""The campaigns at length: `make torture`, or `python tests/torture`.

Every story has a seed of its own. One that fails prints the command that tells it again, and leaves its place as it
was; the others go on. At the end stands what was done, and what was survived.

    python tests/torture                            both campaigns
    python tests/torture crash --kills 500          stories of 25 kills each, as many at once as there are cores
    python tests/torture crash --seed 7 --stories 1
    python tests/torture tail --seed 7 --stories 1
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path += [str(ROOT), *(str(HERE.parent / name) for name in ("e2e", "faults", "inputs"))]

KILLS = 25
"""Of one story."""

EXAMPLES = 100
"""Courses of random file actions, each of 25 steps, under one seed of the tail campaign."""

ANY_SEED = 1_000_000


def crash(seed: int) -> dict[str, dict[str, int]]:
    """Tell one story. Return its figures."""
    from campaign import Campaign
    from checks import check
    from forge import Forge

    place = Path(tempfile.mkdtemp(prefix="torture-"))
    forge = Forge(HERE / "witness.py")
    try:
        campaign = Campaign(forge, place / "place", seed, KILLS)
        asyncio.run(campaign.run())
    finally:
        forge.close()
    check(campaign)
    shutil.rmtree(place)
    return {"figures": campaign.figures, "killed": campaign.points}


def tail(seed: int) -> dict[str, dict[str, int]]:
    """Look at random file actions. Return what was done how often."""
    import hypothesis
    from test_tail_model import course

    return {"figures": course(EXAMPLES, seed=hypothesis.seed(seed))}


CAMPAIGNS = {"crash": crash, "tail": tail}


async def tell(name: str, seed: int, limit: asyncio.Semaphore) -> dict[str, dict[str, int]] | None:
    """Tell one story in a process of its own."""
    async with limit:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE), name, "--seed", str(seed), "--this-one", cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
    if process.returncode == 0:
        figures: dict[str, dict[str, int]] = json.loads(out.splitlines()[-1])
        return figures
    again = f'make torture ARGS="{name} --seed {seed} --stories 1"'
    print(f"{out.decode(errors='replace')}\n{name}: the story of seed {seed} FAILED; again: {again}\n", flush=True)
    return None


async def main(options: argparse.Namespace) -> int:
    """Tell all stories. Return the exit code."""
    limit = asyncio.Semaphore(options.jobs)
    failed = 0
    for name in [options.campaign] if options.campaign else CAMPAIGNS:
        began = time.monotonic()
        stories = options.stories or (-(-options.kills // KILLS) if name == "crash" else options.courses)
        seeds = range(options.seed, options.seed + stories)
        told = await asyncio.gather(*(tell(name, seed, limit) for seed in seeds))
        seconds = time.monotonic() - began
        totals: dict[str, Counter[str]] = {}
        for one in told:
            for part, figures in (one or {}).items():
                totals.setdefault(part, Counter()).update(figures)
        bad = told.count(None)
        failed += bad
        print(f"{name}: {stories} stories, seeds {seeds[0]} to {seeds[-1]}, {bad} failed, {seconds:.0f} s")
        for part, figures in totals.items():
            print(f"  {part}")
            for what, count in sorted(figures.items()):
                print(f"    {count:8,} {what}")
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="torture", description="Campaigns of kills and faults, at length.")
    parser.add_argument("campaign", nargs="?", choices=list(CAMPAIGNS))
    parser.add_argument("--kills", type=int, default=500, help="of the crash campaign (%(default)s)")
    parser.add_argument("--courses", type=int, default=40, help=f"of the tail campaign, by {EXAMPLES} (%(default)s)")
    parser.add_argument("--stories", type=int, help="instead: how many seeds")
    parser.add_argument("--seed", type=int, default=int(time.time()) % ANY_SEED, help="the first; default: any")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="stories at once (%(default)s)")
    parser.add_argument("--this-one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.this_one:
        try:
            print(json.dumps(CAMPAIGNS[asked.campaign](asked.seed)))
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            sys.exit(1)
    else:
        sys.exit(asyncio.run(main(asked)))

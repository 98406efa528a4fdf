"""Killed anywhere, in the middle of everything, the daemon loses nothing, doubles nothing and tells everybody.

A few kills here; `make torture` has hundreds, under seeds of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from campaign import Campaign
from checks import check
from forge import Forge

WITNESS = Path(__file__).with_name("witness.py")


@pytest.mark.parametrize(("seed", "kills"), [(1, 0), (2, 5)])
async def test_a_story_ends_as_it_must_however_often_the_daemon_is_killed(
    tmp_path: Path, seed: int, kills: int
) -> None:
    forge = Forge(WITNESS)
    try:
        campaign = Campaign(forge, tmp_path / "place", seed, kills)
        await campaign.run()
    finally:
        forge.close()
    check(campaign)
    assert campaign.figures["kills"] + campaign.figures["stopped in order"] == kills

"""The daemon says when others may look into its state, and refuses to run so where it was told to."""

from __future__ import annotations

import stat

from running import World


async def test_a_state_directory_of_its_own_making_is_its_owners_alone_and_worth_no_word(world: World) -> None:
    daemon = await world.start()
    assert stat.S_IMODE(world.state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in world.state.iterdir()} == {0o600}
    assert daemon.said("state_dir is open") == []


async def test_one_that_is_open_to_others_brings_a_warning_with_the_way_out(world: World) -> None:
    world.state.mkdir(mode=0o755)
    world.state.chmod(0o755)
    daemon = await world.start()
    (warning,) = daemon.said("state_dir is open to other users")
    assert (warning["level"], warning["mode"], warning["state_dir"]) == ("warning", "0755", str(world.state))
    assert "chmod 0700" in warning["message"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in world.state.iterdir()} == {0o600}


async def test_with_strict_permissions_it_does_not_run_so(world: World) -> None:
    world.state.mkdir()
    world.state.chmod(0o750)
    world.configure(strict_permissions=True)
    daemon = await world.spawn()
    assert await daemon.exit() == 2
    assert "open to other users (mode 0750)" in daemon.stderr
    assert list(world.state.iterdir()) == []
    world.state.chmod(0o700)
    await world.start()

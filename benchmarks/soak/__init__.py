"""Whether the daemon is the same after a while of steady work as it was after a minute of it."""

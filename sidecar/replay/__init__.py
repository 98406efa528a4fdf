"""Old logs through the daemon's own decisions: `replay` finds out what rules would have done, `explain` says why."""

"""How fast the daemon is, beside other ways to do the same: see `__main__`."""

"""State that survives restarts: one SQLite database with one writer."""

"""Coverage-guided fuzzing of every decoder: `make fuzz`, or `python -m fuzz --help`."""

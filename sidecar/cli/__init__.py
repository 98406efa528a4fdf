"""Argument parsing, one module a command; no logic of their own."""

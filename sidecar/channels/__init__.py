"""Configured destinations: one file each, and the HTTP they share."""

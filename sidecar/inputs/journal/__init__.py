"""The systemd journal, read through journalctl."""

from __future__ import annotations

from sidecar.inputs.journal.reader import Journal

__all__ = ["Journal"]

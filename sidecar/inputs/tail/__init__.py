"""Tails files: finds them, follows them through rotation, and hands over every byte once."""

from __future__ import annotations

from sidecar.inputs.tail.events import TailEvents
from sidecar.inputs.tail.files import TailFiles

__all__ = ["TailEvents", "TailFiles"]

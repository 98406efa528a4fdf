"""The campaigns use what other tests know about the daemon's surroundings, and about dying."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / name) for name in ("e2e", "faults", "inputs")]

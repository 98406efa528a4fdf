"""The fault tests use what the end-to-end tests know about the daemon's surroundings."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "e2e"))

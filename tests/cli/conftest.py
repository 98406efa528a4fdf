"""Commands ask the server that the API's tests use."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / name) for name in ("telemetry", "replay")]

from __future__ import annotations

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / "webhooks"), str(Path(__file__).parents[1] / "e2e")]

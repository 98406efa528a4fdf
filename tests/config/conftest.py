"""Loading configuration from text, in a directory of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from config_texts import LoadText

from sidecar.config.load import Loaded, load


@pytest.fixture
def load_text(tmp_path: Path) -> LoadText:
    """Write a configuration and the files beside it, and load it."""

    def load_it(
        text: str,
        *,
        env: Mapping[str, str] = {},
        name: str = "sidecar.yaml",
        files: Mapping[str, str] = {},
        mode: int = 0o600,
    ) -> Loaded:
        for path, content in {name: text, **files}.items():
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
            target.chmod(mode)
        return load(tmp_path / name, env)

    return load_it

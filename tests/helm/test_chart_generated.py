"""What is generated for the chart is up to date. Needs no Helm."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from sidecar import __version__

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "luminalog-sidecar"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_chart", ROOT / "helm" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_generated_is_up_to_date(generate: ModuleType) -> None:
    """If not: `make docs`."""
    produced = generate.produced()
    assert [str(path) for path, text in produced.items() if not path.exists() or path.read_text() != text] == []
    assert [str(path) for path in (CHART / "files").glob("*/*") if path not in produced] == []


def test_the_readme_s_table_is_made_of_the_comments(generate: ModuleType) -> None:
    values = "# Above\n\n# Says | what.\na: 1\nb:\n  # Inner,\n  # on.\n  c: [x]\n  d: {}\n# Whole.\ne:\n  f: null\n"
    assert generate.described(values) == [
        ("a", "`1`", "Says \\| what."),
        ("b.c", '`["x"]`', "Inner, on."),
        ("b.d", "`{}`", ""),
        ("e", '`{"f": null}`', "Whole."),
    ]


def test_the_chart_s_program_is_this_version() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__

"""What the documentation shows is what the project ships."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from test_reference import ENV

from sidecar.config.load import load
from sidecar.config.rule_tests import is_tests

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "config").glob("*.yaml") if not is_tests(path))


@pytest.mark.parametrize("example", ["config/minimal.yaml", "config/rules.d/production-critical.json"])
def test_an_example_in_the_readme_is_the_file_itself(example: str) -> None:
    assert (ROOT / example).read_text() in (ROOT / "README.md").read_text()


def test_every_page_that_the_readme_names_is_there() -> None:
    readme = (ROOT / "README.md").read_text()
    pages = [part.partition(")")[0] for part in readme.split("](")[1:]]
    assert len(pages) >= 10
    assert [page for page in pages if not page.startswith("http") and not (ROOT / page).exists()] == []


def test_the_readme_lists_every_page_once() -> None:
    listed = (ROOT / "README.md").read_text().partition("## Documentation")[2]
    pages = sorted(page.name for page in (ROOT / "docs").glob("*.md"))
    assert sorted(re.findall(r"\]\(docs/([\w-]+\.md)\)", listed)) == pages


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_inputs_and_channels_keep_the_type_that_the_file_gives_them(path: Path) -> None:
    written, config = yaml.safe_load(path.read_text()), load(path, ENV).config
    assert config is not None
    assert [one.type for one in config.inputs] == [one["type"] for one in written["inputs"]]
    assert {name: config.channels[name].type for name in written["channels"]} == {
        name: one["type"] for name, one in written["channels"].items()
    }

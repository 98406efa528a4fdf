"""What the project ships as examples: every rule has tests that pass, every rule of the library a runbook."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from test_reference import ENV, EXAMPLES, ROOT

from sidecar.config.lint import lint
from sidecar.config.load import load, load_rules
from sidecar.config.rule_tests import is_tests
from sidecar.config.schema import FileKind, json_schema
from sidecar.replay.rule_tests import run_test

CONFIG = ROOT / "config"
LIBRARY = sorted(path for path in (CONFIG / "rules.d").glob("*.yaml") if not is_tests(path))
SCHEMAS: dict[str, FileKind] = {"schema.json": "config", "rules.schema.json": "rules", "tests.schema.json": "tests"}
MODELINE = re.compile(r"# yaml-language-server: \$schema=(.*)\n")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_rule_of_an_example_has_tests_and_they_pass(path: Path) -> None:
    loaded = load(path, ENV, tests=True)
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    failed = {test.name: found for test in loaded.tests if (found := run_test(loaded.config, test))}
    assert failed == {}
    expected = [(test, one) for test in loaded.tests for one in test.expected]
    tested = {one.rule for _, one in expected} | {
        rule for test, _ in expected if len(test.rules) == 1 for rule in test.rules
    }
    assert {rule.name for rule in loaded.config.rules} <= tested


def test_the_library_s_tests_pass_without_a_configuration() -> None:
    loaded = load_rules(LIBRARY, {})
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    assert [test.name for test in loaded.tests if run_test(loaded.config, test)] == []


def test_every_rule_of_the_library_has_a_test_in_which_nothing_happens() -> None:
    loaded = load_rules(LIBRARY, {})
    quiet = {rule for test in loaded.tests if not test.expected for rule in test.rules}
    patient = {
        rule for test in loaded.tests if any(one.state == "open" for one in test.expected) for rule in test.rules
    }
    assert {built.rule.name for built in loaded.rules} <= quiet | patient


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_linter_has_nothing_to_say_of_examples(path: Path) -> None:
    assert lint(load(path, ENV), str(path)).problems == []


def test_every_rule_of_the_library_leads_to_a_section_of_its_page() -> None:
    page = (ROOT / "docs" / "rule-library.md").read_text()
    sections = {
        heading.lower().replace(" ", "-"): text
        for heading, text in re.findall(r"^## (.*)\n((?:(?!## ).*\n?)*)", page, re.M)
    }
    loaded = load_rules(LIBRARY, {})
    used = set()
    for built in loaded.rules:
        (url,) = [url for text, url in built.rule.links if text == "Runbook"]
        section = url.partition("#")[2]
        file = Path(built.entry.source.file).name
        assert f"`{file}`" in sections[section]
        assert all(f"**{part}.**" in sections[section] for part in ("Means", "Look at", "Do"))
        used.add(section)
    assert set(sections) == used


@pytest.mark.parametrize(("name", "kind"), SCHEMAS.items())
def test_the_schemas_beside_the_examples_are_up_to_date(name: str, kind: FileKind) -> None:
    """If this fails: make docs."""
    assert json.loads((CONFIG / name).read_text()) == json_schema(kind)


@pytest.mark.parametrize(
    "path", sorted([*CONFIG.glob("*.yaml"), *CONFIG.glob("rules.d/*.yaml")]), ids=lambda path: path.name
)
def test_every_example_names_its_schema_and_satisfies_it(path: Path) -> None:
    named = MODELINE.match(path.read_text())
    assert named is not None
    schema = (path.parent / named[1]).resolve()
    assert SCHEMAS[schema.name] == (
        "tests" if is_tests(path) else "rules" if path.parent.name == "rules.d" else "config"
    )
    jsonschema.Draft202012Validator(json.loads(schema.read_text())).validate(yaml.safe_load(path.read_text()))

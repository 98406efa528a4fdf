"""What the pages on routing, silences and auto-resolve show is what the shipped files say and what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from config_texts import LoadText, errors, load_rules
from test_reference import ENV

from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.ruleset import ruleset_of
from sidecar.core.daemon import Trouble, incident_of
from sidecar.core.levels import ALIASES, Level
from sidecar.core.matching import Matcher
from sidecar.core.records import Record
from sidecar.core.routing import HIGH_URGENCY, PAGERDUTY_SEVERITY, Origin
from sidecar.core.rule import ResolvePolicy
from sidecar.core.silences import values_of
from sidecar.core.times import HOUR, MINUTE

ROOT = Path(__file__).parents[2]
SILENCES = (ROOT / "docs" / "silences.md").read_text()
ROUTING = (ROOT / "docs" / "routing.md").read_text()


def example(name: str) -> Config:
    loaded = load(ROOT / "config" / name, ENV)
    assert loaded.config is not None, loaded.problems
    return loaded.config


def rows(text: str, head: str) -> list[list[str]]:
    """Return the cells of a table, without the ticks."""
    (table,) = re.findall(rf"^\| {head}.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_the_table_of_the_page_is_the_built_in_one(load_text: LoadText) -> None:
    config = load_rules(load_text, {"ruleName": "A", "severity": "fatal"}).config
    assert config is not None
    for levels, severity, urgency, channels in rows(ROUTING, "log level"):
        for level in (ALIASES[word] for word in levels.split(", ")):
            assert config.routing[level] == tuple(
                channels.removesuffix(", only if a rule asks for such records").split(", ")
            )
            assert PAGERDUTY_SEVERITY[level] == severity
            assert urgency == ("high" if severity in HIGH_URGENCY else "low")


@pytest.mark.parametrize("row", rows(ROUTING, "service"), ids=lambda row: row[-1])
def test_the_example_routes_as_the_page_says(row: list[str]) -> None:
    service, namespace, environment, level, told, _ = (cell or None for cell in row)
    origin = Origin(service=service, namespace=namespace, environment=environment)
    found = ruleset_of(example("routing.yaml")).routing.route(None, ALIASES[level or ""], origin)
    assert (", ".join(found) or "nobody") == told


@pytest.mark.parametrize(("page", "file"), [("routing.md", "routing.yaml"), ("auto-resolve.md", "auto-resolve.yaml")])
def test_what_a_page_quotes_from_an_example_stands_in_it(page: str, file: str) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)
    shown = yaml.safe_load(blocks[-1])
    whole = yaml.safe_load((ROOT / "config" / file).read_text())
    assert shown == {key: whole[key] for key in shown}


def test_the_short_example_of_routing_loads(load_text: LoadText) -> None:
    block = re.findall(r"```yaml\n(.*?)```", ROUTING, re.S)[0]
    assert errors(load_rules(load_text, {"ruleName": "A", "severity": "fatal"}, **yaml.safe_load(block))) == []


def test_the_policies_of_the_example_are_those_that_the_page_explains() -> None:
    rules = {rule.name: rule for rule in example("auto-resolve.yaml").rules}
    policies = {name: rule.resolve for name, rule in rules.items()}
    assert policies["Fatal errors"] == ResolvePolicy()
    assert policies["Import failed"].after_quiet == 40 * MINUTE
    assert policies["Backup failed"] == ResolvePolicy(after_quiet=26 * HOUR, even_if_silent=True)
    assert policies["Ledger out of balance"].after_quiet is None
    database = rules["Database unreachable"]
    assert database.resolve.after_quiet == HOUR
    well = Record(time=0, level=Level.DEBUG, message="Reconnected to database after 40 s")
    assert Matcher([database]).clearing(well) == [database]


def test_the_example_groups_by_all_that_its_routes_go_by() -> None:
    config = example("routing.yaml")
    used = {key for route in config.routes for key in ("service", "namespace", "environment") if getattr(route, key)}
    routed = [rule for rule in config.rules if rule.channels is None]
    assert routed
    assert all(used <= set(rule.group_by) for rule in routed), json.dumps(sorted(used))


def test_the_table_of_matchers_names_what_an_incident_is_silenced_by() -> None:
    incident = incident_of((Trouble.STATE_UNWRITABLE, ""), "disk full", since=0, now=0, host="h")
    incident.namespace = incident.environment = "shop"
    named = [name for matcher, _ in rows(SILENCES, "matcher") for name in matcher.split(", ") if " " not in name]
    assert named == list(values_of(incident))

"""The documentation says what the program does: its tables are those of the structs, its examples load."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from config_texts import KEY, LoadText

from sidecar.config import document
from sidecar.config.load import load
from sidecar.config.reference import update
from sidecar.config.rule_tests import is_tests

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "config").glob("*.yaml") if not is_tests(path))
DOCUMENT = ROOT / "docs" / "configuration.md"
DOCUMENTS = [DOCUMENT, ROOT / "docs" / "rule-tests.md"]
ENV = {
    "PAGERDUTY_KEY": KEY,
    "PAGERDUTY_PROD_KEY": KEY[::-1],
    "SLACK_URL": "https://hooks.slack.com/services/T/B/x",
    "SLACK_BOT_TOKEN": "xoxb-not-a-real-token",
    "PAYMENTS_SLACK_URL": "https://hooks.slack.com/services/T/B/y",
    "INGEST_TOKEN": "token",
    "ADMIN_TOKEN": "token",
    "PAGERDUTY_WEBHOOK_SECRET": "secret",
    "DISCORD_URL": "https://discord.com/api/webhooks/1/x",
    "HEARTBEAT_URL": "https://hc-ping.com/0f8c5f3e",
    "CREDENTIALS_DIRECTORY": str(ROOT / "tests" / "data" / "credentials"),
}


def test_the_tables_are_up_to_date() -> None:
    """If this fails: python -m sidecar.config.reference docs/configuration.md docs/rule-tests.md."""
    for page in DOCUMENTS:
        text = page.read_text()
        assert update(text) == text


def test_every_section_has_its_table() -> None:
    sections = {
        name
        for name, cls in vars(document).items()
        if isinstance(cls, type) and issubclass(cls, document.Section) and cls.__struct_fields__
    }
    documented = [name for page in DOCUMENTS for name in re.findall(r"<!-- keys: (\w+) -->", page.read_text())]
    assert sorted(documented) == sorted(sections - {"Channel", "Input", "RulesFile", "TestsFile"})


def test_a_table_that_differs_is_replaced() -> None:
    text = "before\n<!-- keys: Log -->\nanything\n<!-- end -->\nafter\n"
    renewed = update(text)
    assert "anything" not in renewed
    assert "| `level` |" in renewed
    assert renewed.startswith("before\n")
    assert renewed.endswith("<!-- end -->\nafter\n")


def test_links_inside_the_pagelead_somewhere() -> None:
    text = DOCUMENT.read_text()
    headings = {
        re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= headings


def test_the_documents_examples_load(load_text: LoadText) -> None:
    for kind, block in re.findall(r"```(yaml|json)\n(.*?)```", DOCUMENT.read_text(), re.DOTALL):
        example = yaml.safe_load(block) if kind == "yaml" else json.loads(block)
        rule = {"ruleName": "A", **example}
        slack = {"slack": {"type": "slack", "webhook_url": "${SLACK_URL}"}}
        loaded = load_text(json.dumps({"channels": slack, "rules": [rule]}), env=ENV, name="c.json")
        assert loaded.config is not None, loaded.problems


def test_every_example_file_loads_without_a_word() -> None:
    for path in EXAMPLES:
        loaded = load(path, ENV)
        assert loaded.config is not None, [str(problem) for problem in loaded.problems]
        assert loaded.problems == []
        assert loaded.config.rules


def test_the_example_holds_luminalogs_documented_rule() -> None:
    loaded = load(ROOT / "config" / "sidecar.yaml", ENV)
    assert loaded.config is not None
    rule = next(rule for rule in loaded.config.rules if rule.name == "PagerDuty Production Critical")
    assert rule.threshold == 3
    assert loaded.config.secrets[rule.routing_key or ""].reveal() == KEY[::-1]

"""What the chart refuses, by its schema or in words of its own."""

from __future__ import annotations

import json

import pytest
from chart_kit import CHART, MODES, SECRETS, SLACK, Values, helm, render

KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"mod": "target"}, "'mod'"),
        ({"mode": "deployment"}, "/mode"),
        ({"replicas": 2}, "'replicas'"),
        ({"replicaCount": 1}, "'replicaCount'"),
        ({"target": {"replicas": 2}}, "/target/replicas"),
        ({"target": {"replicas": 0}}, "/target/replicas"),
        ({"image": {"tags": "v1"}}, "'tags'"),
        ({"image": {"digest": "sha256:1"}}, "/image/digest"),
        ({"image": {"repository": ""}}, "/image/repository"),
        ({"metrics": {"serviceMonitor": {"enabld": True}}}, "'enabld'"),
        ({"metrics": {"podMonitor": {"interval": 30}}}, "/metrics/podMonitor/interval"),
        ({"target": {"persistence": {"accessMode": "ReadWriteMany"}}}, "/target/persistence/accessMode"),
        ({"target": {"persistence": {"size": "1 GB"}}}, "/target/persistence/size"),
        ({"daemonset": {"maxUnavailable": 0}}, "/daemonset/maxUnavailable"),
        ({"daemonset": {"logsHostPath": "var/log"}}, "/daemonset/logsHostPath"),
        ({"sidecar": {"stateVolume": {"emptyDir": {}, "hostPath": {}}}}, "/sidecar/stateVolume"),
        ({"securityContext": {"readOnlyRootFileSystem": True}}, "'readOnlyRootFileSystem'"),
        ({"resources": {"limit": {}}}, "'limit'"),
        ({"configChange": "restart"}, "/configChange"),
        ({"ports": {"admin": 80}}, "/ports/admin"),
        ({"secrets": {"values": {"admin-token": ""}}}, "/secrets/values/admin-token"),
        ({"secrets": {"values": {"a/b": "x"}}}, "'a/b'"),
        ({"rulesFiles": {"rules.txt": "x"}}, "'rules.txt'"),
        ({"rulesFiles": {"sidecar.json": "{}"}}, "/rulesFiles"),
        ({"networkPolicy": {"ingestFrom": {}}}, "/networkPolicy/ingestFrom"),
        # What is wrong in the program's own configuration.
        ({"config": {"chanels": {}}}, "'chanels'"),
        ({"config": {"channels": {"s": {"type": "slack", "webhok_url": "x"}}}}, "'webhok_url'"),
        ({"config": {"rules": [{"ruleName": "x", "severety": "fatal"}]}}, "'severety'"),
        ({"config": {"rules": [{"ruleName": "x", "window": "5 minutes"}]}}, "/config/rules/0/window"),
        ({"config": {"inputs": [{"type": "tail", "path": "/x"}]}}, "'path'"),
        ({"config": {"defaults": {"max_groups": 0}}}, "/config/defaults/max_groups"),
        # What the chart sets itself.
        ({"config": {"admin": {"listen": "127.0.0.1:1"}}}, "'admin'"),
        ({"config": {"state_dir": "/tmp"}}, "'state_dir'"),
        ({"config": {"webhooks": {"listen": "0.0.0.0:1"}}}, "'webhooks'"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_a_typo_is_refused_with_its_place(values: Values, place: str) -> None:
    with pytest.raises(helm.HelmValuesError) as refused:
        render(values)
    assert place in str(refused.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"terminationGracePeriodSeconds": 34}, "at least config.drain_seconds (25) and 10 more, found 34"),
        ({"config": {"drain_seconds": 60}}, "at least config.drain_seconds (60) and 10 more, found 40"),
        ({"mode": "daemonset", "webhooks": {"enabled": True}}, "webhooks.enabled: in mode target only"),
        ({"mode": "sidecar", "metrics": {"serviceMonitor": {"enabled": True}}}, "use metrics.podMonitor"),
        ({"secrets": {"existingSecret": "ours", "values": {"a": "b"}}}, "found both"),
        ({"webhooks": {"enabled": True}}, "webhooks need the key pagerduty-webhook-secrets"),
        (
            {
                "webhooks": {"enabled": True, "lookUps": True},
                "secrets": {"values": {"pagerduty-webhook-secrets": "x"}},
            },
            "webhooks need the key pagerduty-api-token",
        ),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_what_cannot_work_is_refused_in_words(values: Values, words: str) -> None:
    with pytest.raises(helm.HelmRenderError) as refused:
        render(values)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"channels": {"s": {"type": "slack", "webhook_url": "SECRET"}}}, "config.channels.s.webhook_url"),
        ({"channels": {"s": {"type": "slack", "bot_token": "SECRET"}}}, "config.channels.s.bot_token"),
        ({"channels": {"p": {"type": "pagerduty", "routing_key": "SECRET"}}}, "config.channels.p.routing_key"),
        ({"channels": {"w": {"type": "webhook", "url": "SECRET"}}}, "config.channels.w.url"),
        ({"channels": {"w": {"type": "webhook", "url": "${URL}", "secret": "SECRET"}}}, "config.channels.w.secret"),
        ({"rules": [{"ruleName": "x", "pagerDutyKey": "SECRET"}]}, "config.rules[0].pagerDutyKey"),
        ({"inputs": [{"type": "http", "tokens": ["${A}", "SECRET"]}]}, "config.inputs[0].tokens"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_secret_is_kept_out_of_the_config_map_and_is_not_repeated(values: Values, place: str) -> None:
    with pytest.raises(helm.HelmRenderError) as refused:
        render({"config": json.loads(json.dumps(values).replace("SECRET", KEY))})
    assert place in str(refused.value)
    assert KEY not in str(refused.value)
    render({"config": json.loads(json.dumps(values).replace("SECRET", "${NAME}"))})


@pytest.mark.parametrize(
    "text",
    [f'{{"ruleName": "x", "pagerDutyKey": "{KEY}"}}', f"ruleName: x\npager_duty_key: {KEY}\n"],
    ids=["json", "yaml"],
)
def test_a_key_in_a_rules_file_is_refused_too(text: str) -> None:
    with pytest.raises(helm.HelmRenderError, match=r"rulesFiles\.a\.json: pagerDutyKey"):
        render({"rulesFiles": {"a.json": text}})
    render({"rulesFiles": {"a.json": text.replace(KEY, "${PAGERDUTY_PROD_KEY}")}})


@pytest.mark.parametrize("mode", MODES)
def test_no_secret_of_the_values_shows_outside_of_secrets(mode: str) -> None:
    rendered = render(
        {"mode": mode, "secrets": {"values": SECRETS}, "config": {"channels": SLACK}, "configChange": "roll"}
    )
    others = [one for one in rendered.documents if one["kind"] != "Secret"]
    shown = json.dumps(others) + rendered.notes
    assert [value for value in SECRETS.values() if value in shown] == []
    assert rendered.secrets() == SECRETS


def test_every_value_has_a_place_in_the_schema_and_a_default() -> None:
    """A value that the schema does not know would be refused; one without a default stands in no README."""
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
    defaults = helm.Chart.load(CHART).values
    assert schema.keys() - {"global"} == defaults.keys()
    for name in ("image", "secrets", "ports", "webhooks", "daemonset", "target", "sidecar", "networkPolicy", "metrics"):
        assert schema[name]["properties"].keys() == defaults[name].keys()

"""Renders the chart with Helm's own engine, and reads what comes out."""

from __future__ import annotations

import base64
import functools
import itertools
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.config.load import Loaded, load

NOT_HERE = "Helm's engine (helm-python-sdk) has no build for this machine: the chart is not tested"
helm = pytest.importorskip("helm_python", reason=NOT_HERE)

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "luminalog-sidecar"
MODES = ("target", "daemonset", "sidecar")

Values = dict[str, Any]
Document = dict[str, Any]

SECRETS = {
    "admin-token": "an admin token",
    "ingest-tokens": "one token\nand another\n",
    "pagerduty-webhook-secrets": "a secret",
    "pagerduty-api-token": "an api token",
    "slack-webhook-url": "https://hooks.slack.com/services/T/B/x",
}
SLACK = {"slack": {"type": "slack", "webhook_url_file": "/etc/luminalog-sidecar/secrets/slack-webhook-url"}}

CHOICES: dict[str, tuple[Values, ...]] = {
    "secrets": ({}, {"secrets": {"values": SECRETS}}, {"secrets": {"existingSecret": "ours"}}),
    "channels": ({}, {"config": {"channels": SLACK}}),
    "rules": ({}, {"rulesFiles": {"more.yaml": "- {ruleName: More, severity: error}\n"}}),
    "limits": ({}, {"config": {"quarantine_max": 10_000, "defaults": {"max_groups": 1_000_000}}}),
    "change": ({}, {"configChange": "roll"}),
    "image": ({}, {"image": {"registry": "registry.example.com:5000", "tag": "v9", "pullSecrets": ["pull"]}}),
    "account": ({}, {"serviceAccount": {"create": False}}, {"serviceAccount": {"name": "other"}}),
    "podMonitor": ({}, {"metrics": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}}),
    "alerts": ({}, {"metrics": {"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}}}),
    "extra": (
        {},
        {
            "extraEnv": [{"name": "CLUSTER", "value": "east"}],
            "extraEnvFrom": [{"secretRef": {"name": "env"}}],
            "extraVolumes": [{"name": "more", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
            "podLabels": {"team": "ops"},
            "podAnnotations": {"note": "kept"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "ops", "operator": "Exists"}],
            "priorityClassName": "system-cluster-critical",
            "affinity": {"nodeAffinity": {}},
        },
    ),
}
"""What can be chosen in every mode."""

PODS_OF_OURS: dict[str, tuple[Values, ...]] = {
    "serviceMonitor": ({}, {"metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}}),
    "network": (
        {},
        {"networkPolicy": {"enabled": False}},
        {"networkPolicy": {"ingestFrom": [], "adminFrom": [], "extraEgress": [{"ports": [{"port": 3128}]}]}},
    ),
    "ports": ({}, {"listenAddress": "[::]", "ports": {"ingest": 8080, "admin": 8081, "webhooks": 8082}}),
}
OF_MODE: dict[str, dict[str, tuple[Values, ...]]] = {
    "target": {
        **PODS_OF_OURS,
        "tls": (
            {},
            {"target": {"tls": {"existingSecret": "tls"}}},
            {"target": {"tls": {"existingSecret": "tls", "clientCa": True}}},
        ),
        "disk": (
            {},
            {"target": {"persistence": {"enabled": False}}},
            {"target": {"persistence": {"existingClaim": "claim"}}},
            {"target": {"persistence": {"storageClass": "fast", "size": "5Gi", "accessMode": "ReadWriteOncePod"}}},
        ),
        "service": ({}, {"target": {"service": {"type": "LoadBalancer", "annotations": {"a": "b"}}}}),
        "budget": ({}, {"target": {"podDisruptionBudget": {"enabled": True, "maxUnavailable": 0}}}),
        "webhooks": ({}, {"webhooks": {"enabled": True}}, {"webhooks": {"enabled": True, "lookUps": True}}),
    },
    "daemonset": {
        **PODS_OF_OURS,
        "docker": ({}, {"daemonset": {"dockerHostPath": "/var/lib/docker/containers"}}),
        "state": ({}, {"daemonset": {"prepareState": False, "stateHostPath": "/srv/pager", "maxUnavailable": "10%"}}),
        "logs": ({}, {"daemonset": {"logsHostPath": "/data/log"}}),
    },
    "sidecar": {
        "example": ({}, {"sidecar": {"example": {"enabled": True}}}),
        "state": ({}, {"sidecar": {"stateVolume": {"persistentVolumeClaim": {"claimName": "claim"}}}}),
        "files": ({}, {"sidecar": {"logPath": "/logs", "files": ["a.log", "b/*.log"]}}),
    },
}


def merged(*parts: Values) -> Values:
    """Return maps laid over one another, as Helm does with several files of values."""
    result: Values = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else value
    return result


def combinations(mode: str) -> Iterator[Values]:
    """Yield values in which any two choices of a mode meet: what breaks, breaks by two at most, nearly always."""
    choices = {**CHOICES, **OF_MODE[mode]}
    names = list(choices)
    missing = {
        ((a, i), (b, j))
        for a, b in itertools.combinations(names, 2)
        for i in range(len(choices[a]))
        for j in range(len(choices[b]))
    }
    draw = random.Random(mode)
    while missing:
        tried = [{name: draw.randrange(len(choices[name])) for name in names} for _ in range(50)]
        best = max(tried, key=lambda row: len(_pairs(row) & missing))
        if not _pairs(best) & missing:
            (a, i), (b, j) = min(missing)
            best = {**best, a: i, b: j}
        missing -= _pairs(best)
        values = merged({"mode": mode}, *(choices[name][i] for name, i in best.items()))
        if values.get("webhooks") and not values.get("secrets"):
            values["secrets"] = {"values": SECRETS}  # refused without
        yield values


def _pairs(row: Mapping[str, int]) -> set[tuple[tuple[str, int], tuple[str, int]]]:
    return set(itertools.combinations(row.items(), 2))  # type: ignore[arg-type]


class Strict(yaml.CSafeLoader):
    """Refuses what Kubernetes refuses: the same key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"twice: {keys}"
        return super().construct_mapping(node, deep=deep)


class Rendered:
    """What one rendering gave."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.notes = next(text for name, text in files.items() if name.endswith("NOTES.txt"))
        self.documents: list[Document] = [
            document
            for name, text in files.items()
            if name.endswith(".yaml")
            for document in yaml.load_all(text, Strict)
            if document
        ]

    def kinds(self) -> set[str]:
        return {document["kind"] for document in self.documents}

    def all(self, kind: str) -> list[Document]:
        return [document for document in self.documents if document["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> Document:
        (found,) = (one for one in self.all(kind) if name is None or one["metadata"]["name"] == name)
        return found

    @property
    def pods(self) -> list[Document]:
        """Metadata and spec of every pod, that of the test included."""
        templates = [one["spec"]["template"] for one in self.documents if "template" in one.get("spec", {})]
        return [*templates, *self.all("Pod")]

    @property
    def pod(self) -> Document:
        """The pod with the daemon."""
        return next(pod for pod in self.pods if daemon_of(pod)["args"][0] == "run")

    @property
    def daemon(self) -> Document:
        return daemon_of(self.pod)

    @property
    def config_map(self) -> Document:
        """The one with the program's configuration."""
        (found,) = (one for one in self.all("ConfigMap") if "sidecar.json" in one["data"])
        return found

    def secrets(self) -> dict[str, str]:
        """Return every key that is created, with its value."""
        return {
            key: base64.b64decode(value).decode() for one in self.all("Secret") for key, value in one["data"].items()
        }

    def config(self, directory: Path, given: Mapping[str, str]) -> Loaded:
        """Load the configuration as the container finds it, but below `directory`. `given`: a Secret of the user's."""
        etc = "/etc/luminalog-sidecar"
        for folder, files in {
            "config": self.config_map["data"],
            "secrets": {**given, **self.secrets()},
            "tls": dict.fromkeys(("tls.crt", "tls.key", "ca.crt"), ""),
        }.items():
            (directory / folder).mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (directory / folder / name).write_text(text.replace(etc, str(directory)))
        return load(directory / "config" / "sidecar.json", {"CLUSTER": "east"})


def containers(pod: Document) -> list[Document]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def daemon_of(pod: Document) -> Document:
    """Return the daemon's container of a pod; in the pod that tests, the first."""
    named = [one for one in containers(pod) if one["name"] == "luminalog-sidecar"]
    return named[0] if named else {"args": [""]}


@functools.cache
def chart() -> Any:
    return helm.Chart.load(CHART)


def render(values: Values | None = None, name: str = "luminalog-sidecar", namespace: str = "monitoring") -> Rendered:
    """Render the chart; the same values only once, since reading the schema takes most of the time."""
    return _rendered(json.dumps(values or {}), name, namespace)


@functools.cache
def _rendered(values: str, name: str, namespace: str) -> Rendered:
    return rendered_anew(json.loads(values), name, namespace)


def rendered_anew(values: Values, name: str = "luminalog-sidecar", namespace: str = "monitoring") -> Rendered:
    return Rendered(chart().render(values, name=name, namespace=namespace))

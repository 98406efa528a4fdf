"""What each mode gives, choice by choice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_kit import MODES, ROOT, SECRETS, Values, containers, merged, render, rendered_anew

from sidecar import __version__
from sidecar.config.model import HttpInput, TailInput

COMMON = {"ConfigMap", "Secret", "Pod"}


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [
        ("target", {"StatefulSet", "Service", "ServiceAccount", "NetworkPolicy"}),
        ("daemonset", {"DaemonSet", "Service", "ServiceAccount", "NetworkPolicy"}),
        ("sidecar", set()),
    ],
)
def test_a_mode_is_these_objects(mode: str, kinds: set[str]) -> None:
    assert render({"mode": mode}).kinds() == COMMON | kinds


def test_the_target_is_one_replica_with_a_disk() -> None:
    spec = render().one("StatefulSet")["spec"]
    assert spec["replicas"] == 1
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


@pytest.mark.parametrize(
    ("persistence", "state"),
    [
        ({"enabled": False}, {"emptyDir": {}}),
        ({"existingClaim": "mine"}, {"persistentVolumeClaim": {"claimName": "mine"}}),
    ],
)
def test_the_disk_may_be_another(persistence: Values, state: Values) -> None:
    rendered = render({"target": {"persistence": persistence}})
    assert "volumeClaimTemplates" not in rendered.one("StatefulSet")["spec"]
    assert {"name": "state", **state} in rendered.pod["spec"]["volumes"]


def test_the_target_takes_logs_with_a_token_and_a_tag(tmp_path: Path) -> None:
    config = render({"secrets": {"existingSecret": "ours"}}).config(tmp_path, SECRETS).config
    assert config is not None
    (http,) = config.inputs
    assert isinstance(http, HttpInput)
    assert [token.reveal() for token in http.tokens] == ["one token", "and another"]
    assert (http.host, http.port, http.tag_header, http.allow_anonymous) == ("0.0.0.0", 9880, "X-Fluent-Tag", False)
    assert config.admin.token is not None
    assert config.admin.token.reveal() == "an admin token"


def test_the_daemonset_tails_all_containers_of_the_node_but_those_of_its_own_kind(tmp_path: Path) -> None:
    rendered = render({"mode": "daemonset"}, name="pager")
    config = rendered.config(tmp_path, SECRETS).config
    assert config is not None
    (tail,) = config.inputs
    assert isinstance(tail, TailInput)
    assert (tail.paths, tail.start_at) == (("/var/log/containers/*.log",), "end")
    names = ["pager-luminalog-sidecar-x7zzq_ops_luminalog-sidecar-0af1.log", "web-1_shop_luminalog-sidecar-0af1.log"]
    assert [any(Path(name).match(pattern) for pattern in tail.exclude) for name in names] == [True, True]
    assert not any(Path("luminalog-web-1_shop_app-0af1.log").match(pattern) for pattern in tail.exclude)


def test_the_daemonset_reads_the_node_s_logs_and_writes_only_its_own_directory() -> None:
    rendered = render({"mode": "daemonset", "daemonset": {"dockerHostPath": "/var/lib/docker/containers"}})
    hosts = {one["name"]: one["hostPath"]["path"] for one in rendered.pod["spec"]["volumes"] if "hostPath" in one}
    assert hosts == {
        "logs": "/var/log",
        "docker": "/var/lib/docker/containers",
        "state": "/var/lib/luminalog-sidecar",
    }
    mounts = {mount["name"]: mount for mount in rendered.daemon["volumeMounts"]}
    assert [name for name in hosts if not mounts[name].get("readOnly")] == ["state"]
    # Links among the logs are absolute: what they lead to must stand where it does on the node.
    assert all(mounts[name]["mountPath"] == hosts[name] for name in ("logs", "docker"))
    assert rendered.pod["spec"]["securityContext"]["supplementalGroups"] == [0]
    assert rendered.pod["spec"]["tolerations"] == [{"operator": "Exists"}]


def test_its_state_directory_is_made_its_own_by_root_without_capabilities() -> None:
    rendered = render({"mode": "daemonset"})
    (prepare,) = rendered.pod["spec"]["initContainers"]
    assert prepare["command"] == ["sh", "-c", "chgrp 10001 /state && chmod 0770 /state"]
    assert (prepare["securityContext"]["runAsUser"], prepare["securityContext"]["runAsGroup"]) == (0, 10001)
    assert [mount["name"] for mount in prepare["volumeMounts"]] == ["state"]
    assert "initContainers" not in render({"mode": "daemonset", "daemonset": {"prepareState": False}}).pod["spec"]


def test_the_example_shares_a_log_volume_with_a_native_sidecar(tmp_path: Path) -> None:
    rendered = render({"mode": "sidecar", "sidecar": {"example": {"enabled": True}, "logPath": "/logs"}})
    pod = rendered.pod["spec"]
    (sidecar,), (app,) = pod["initContainers"], pod["containers"]
    assert sidecar["restartPolicy"] == "Always"
    assert not {"readinessProbe", "startupProbe"} & sidecar.keys(), "paging must not hold up the application"
    mounts = [next(one for one in box["volumeMounts"] if one["name"] == "luminalog-logs") for box in (sidecar, app)]
    assert [(mount["mountPath"], mount.get("readOnly", False)) for mount in mounts] == [
        ("/logs", True),
        ("/logs", False),
    ]
    assert {"name": "luminalog-logs", "emptyDir": {}} in pod["volumes"]
    config = rendered.config(tmp_path, SECRETS).config
    assert config is not None
    (tail,) = config.inputs
    assert isinstance(tail, TailInput)
    assert (tail.paths, tail.start_at) == (("/logs/*.log",), "beginning")


@pytest.mark.parametrize("mode", MODES)
def test_inputs_of_the_values_replace_those_of_the_mode(mode: str, tmp_path: Path) -> None:
    rendered = render({"mode": mode, "config": {"inputs": [{"type": "tail", "paths": ["/srv/*.log"]}]}})
    config = rendered.config(tmp_path, SECRETS).config
    assert config is not None
    assert [one.paths for one in config.inputs if isinstance(one, TailInput)] == [("/srv/*.log",)]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, f"luminalog-sidecar:{__version__}"),
        ({"registry": "r.example.com", "repository": "ops/pager", "tag": "v2"}, "r.example.com/ops/pager:v2"),
        ({"tag": "v2", "digest": "sha256:" + "a" * 64}, "luminalog-sidecar@sha256:" + "a" * 64),
    ],
)
def test_the_image_s_tag_is_the_program_s_version_unless_it_is_given(image: Values, expected: str) -> None:
    rendered = render({"image": image})
    assert {one["image"] for pod in rendered.pods for one in containers(pod)} == {expected}


@pytest.mark.parametrize("mode", ["target", "daemonset"])
def test_a_cluster_may_choose_the_user_itself(mode: str) -> None:
    rendered = render({"mode": mode, "securityContext": {"runAsUser": None, "runAsGroup": None}})
    assert not {"runAsUser", "runAsGroup"} & rendered.daemon["securityContext"].keys()
    assert not {"runAsUser", "fsGroup"} & rendered.pod["spec"]["securityContext"].keys()
    assert rendered.daemon["securityContext"]["runAsNonRoot"] is True


def test_root_without_capabilities_is_a_choice_where_logs_are_closed_to_their_group() -> None:
    rendered = render({"mode": "daemonset", "securityContext": {"runAsUser": 0, "runAsNonRoot": False}})
    context = rendered.daemon["securityContext"]  # of the container: it wins over the pod's
    assert (context["runAsUser"], context["runAsNonRoot"], context["capabilities"]) == (0, False, {"drop": ["ALL"]})


CHANGES: dict[str, Values] = {
    "rules": {"config": {"rules": [{"ruleName": "x"}]}},
    "rules file": {"rulesFiles": {"a.json": '{"ruleName": "y"}'}},
    "channel": {"secrets": {"values": {"slack-webhook-url": "https://hooks.slack.com/services/T/B/y"}}},
    "admin token": {"secrets": {"values": {"admin-token": "new"}}},
    "address": {"listenAddress": "[::]"},
}


@pytest.mark.parametrize(
    ("mode", "change", "how", "rolls"),
    [
        *(("target", name, "roll", True) for name in CHANGES),
        ("target", "rules", "reload", False),
        ("target", "rules file", "reload", False),
        ("target", "channel", "reload", False),
        ("target", "admin token", "reload", True),  # only read at the start
        ("target", "address", "reload", True),
        ("daemonset", "rules", "roll", True),
        ("daemonset", "rules", "reload", False),
    ],
)
def test_a_change_replaces_the_pods_only_where_it_must(mode: str, change: str, how: str, rolls: bool) -> None:
    before = {"mode": mode, "configChange": how, "secrets": {"values": SECRETS}}
    after = merged(before, CHANGES[change])
    assert rendered_anew(before).pod == render(before).pod
    assert (render(before).pod != render(after).pod) == rolls


def test_tokens_that_nobody_gave_are_made_up_and_cannot_change_unnoticed() -> None:
    """Rendered without a cluster they differ each time; Kubernetes refuses to change an immutable Secret."""
    first, second = rendered_anew({}), rendered_anew({})
    made = {one["metadata"]["name"]: one for one in first.all("Secret")}
    assert made.keys() == {"luminalog-sidecar-admin-token", "luminalog-sidecar-ingest-tokens"}
    assert all(one["immutable"] is True for one in made.values())
    assert all(len(value) == 40 for value in first.secrets().values())
    assert len({*first.secrets().values(), *second.secrets().values()}) == 4


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"secrets": {"existingSecret": "ours"}}, []),
        ({"secrets": {"values": SECRETS}}, ["luminalog-sidecar"]),
        ({"secrets": {"values": {"admin-token": "x"}}}, ["luminalog-sidecar", "luminalog-sidecar-ingest-tokens"]),
        ({"mode": "daemonset"}, ["luminalog-sidecar-admin-token"]),
    ],
)
def test_only_what_is_missing_is_made_up(values: Values, names: list[str]) -> None:
    rendered = render(values)
    assert [one["metadata"]["name"] for one in rendered.all("Secret")] == names
    (volume,) = (one for one in rendered.pod["spec"]["volumes"] if "projected" in one)
    mounted = [source["secret"]["name"] for source in volume["projected"]["sources"]]
    assert mounted == (names or ["ours"])


def test_the_network_policy_lets_in_who_is_named_and_the_test_and_out_to_dns_and_https() -> None:
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "logging"}}}
    rendered = render(
        {
            "networkPolicy": {"ingestFrom": [peer], "adminFrom": [], "extraEgress": [{"ports": [{"port": 3128}]}]},
            "webhooks": {"enabled": True},
            "secrets": {"values": SECRETS},
        }
    )
    spec = rendered.one("NetworkPolicy")["spec"]
    test = {"podSelector": {"matchLabels": rendered.one("Pod")["metadata"]["labels"]}}
    opened: dict[str, Any] = {rule["ports"][0]["port"]: rule.get("from") for rule in spec["ingress"]}
    assert opened == {"admin": [test], "ingest": [peer, test], "webhooks": None}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert [[port["port"] for port in rule["ports"]] for rule in spec["egress"]] == [[53, 53], [443], [3128]]
    assert not any(rule.get("to") for rule in spec["egress"])


@pytest.mark.parametrize("allowed", [0, 1])
def test_the_budget_says_whether_a_drain_may_take_the_one_pod(allowed: int) -> None:
    rendered = render({"target": {"podDisruptionBudget": {"enabled": True, "maxUnavailable": allowed}}})
    assert rendered.one("PodDisruptionBudget")["spec"]["maxUnavailable"] == allowed


@pytest.mark.parametrize("mode", ["target", "daemonset"])
def test_a_service_monitor_scrapes_the_admin_port(mode: str) -> None:
    values = {"enabled": True, "labels": {"release": "prometheus"}, "interval": "15s"}
    rendered = render({"mode": mode, "metrics": {"serviceMonitor": values}})
    monitor = rendered.one("ServiceMonitor")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"], endpoint["interval"]) == ("admin", "/metrics", "15s")
    assert "admin" in [port["name"] for port in rendered.one("Service")["spec"]["ports"]]


@pytest.mark.parametrize("mode", MODES)
def test_a_pod_monitor_scrapes_the_port_of_that_name(mode: str) -> None:
    rendered = render(
        {
            "mode": mode,
            "metrics": {"podMonitor": {"enabled": True}},
            "sidecar": {"example": {"enabled": mode == "sidecar"}},
        }
    )
    (endpoint,) = rendered.one("PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in [port["name"] for port in rendered.daemon["ports"]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, ["NOBODY IS TOLD YET", "luminalog-sidecar.monitoring.svc", "get secret luminalog-sidecar-ingest-tokens"]),
        ({"secrets": {"existingSecret": "ours"}}, ["a line of the key ingest-tokens of the Secret ours"]),
        ({"target": {"persistence": {"enabled": False}}}, ["State is an emptyDir"]),
        ({"mode": "daemonset"}, ["Each node counts and pages by itself", "exec daemonset/luminalog-sidecar"]),
        ({"mode": "sidecar"}, ["luminalog-sidecar.sidecar.container", "sidecar.example.enabled=true"]),
    ],
)
def test_the_notes_tell_the_next_step(values: Values, said: list[str]) -> None:
    notes = render(values).notes
    assert [words for words in [*said, "send-test --config /etc/luminalog-sidecar/config/"] if words not in notes] == []
    channel = {"config": {"channels": {"s": {"type": "slack", "webhook_url": "${URL}"}}}}
    assert "NOBODY IS TOLD YET" not in render(merged(values, channel)).notes


def test_fluent_bit_s_example_finds_the_target(tmp_path: Path) -> None:
    """Its address, port, TLS and header are those of a release `luminalog-sidecar` in the namespace `monitoring`."""
    output = yaml.safe_load((ROOT / "config/fluent-bit/kubernetes.yaml").read_text())["pipeline"]["outputs"][0]
    rendered = render({"target": {"tls": {"existingSecret": "tls"}}})
    service = rendered.one("Service")
    assert output["host"] == f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    assert output["port"] in [port["port"] for port in service["spec"]["ports"] if port["name"] == "ingest"]
    http = json.loads(rendered.config_map["data"]["sidecar.json"])["inputs"][0]
    assert output["header_tag"] == http["tag_header"]
    assert output["tls"] is ("tls_cert" in http)

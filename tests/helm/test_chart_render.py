"""The chart in every mode, with any two of its choices together: valid for Kubernetes, whole in itself, and strict."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from chart_kit import CHART, MODES, SECRETS, Rendered, Values, combinations, containers, helm, render

from sidecar.config.model import HttpInput
from sidecar.core.times import SECOND

CASES = [
    pytest.param(values, id=f"{mode}-{i}")
    for mode in MODES
    for i, values in enumerate([{"mode": mode}, *combinations(mode)])
]
CRDS = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
OLDEST, NEWEST = "1.29", "1.37"
"""Of Kubernetes: what Chart.yaml asks for, and the newest whose schemas there are."""


@pytest.fixture(scope="module", autouse=True)
def schemas_are_read_once() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        read = functools.cache(kubernetes_validate.utils.schema_contents)
        patch.setattr(kubernetes_validate.utils, "schema_contents", read)
        yield


@pytest.mark.parametrize("values", CASES)
def test_what_is_rendered_is_valid_whole_and_strict(values: Values, tmp_path: Path) -> None:
    """One rendering a case, since that is what takes time; each check says what it found."""
    rendered = render(values)
    everything_has_a_name_of_its_own(rendered)
    every_object_is_valid(rendered)
    what_a_pod_mounts_is_there(rendered, values)
    ports_lead_to_containers(rendered)
    selectors_find_the_daemon_and_nothing_else(rendered)
    pods_have_no_rights(rendered)
    the_program_takes_its_configuration(rendered, tmp_path)


def everything_has_a_name_of_its_own(rendered: Rendered) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in rendered.documents]
    assert len(names) == len(set(names))
    assert {one["metadata"]["namespace"] for one in rendered.documents} == {"monitoring"}


def every_object_is_valid(rendered: Rendered) -> None:
    for one in rendered.documents:
        for version in (OLDEST, NEWEST) if one["kind"] not in CRDS else ():
            validate(json.dumps(one), version)


@functools.cache
def validate(document: str, version: str) -> None:
    kubernetes_validate.validate(json.loads(document), version, strict=True)


def what_a_pod_mounts_is_there(rendered: Rendered, values: Values) -> None:
    made = {(one["kind"], one["metadata"]["name"]) for one in rendered.documents}
    given = {("Secret", "ours"), ("Secret", "tls")}
    for pod in rendered.pods:
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        claims = (
            rendered.one("StatefulSet")["spec"].get("volumeClaimTemplates", ()) if values["mode"] == "target" else ()
        )
        names = volumes.keys() | {claim["metadata"]["name"] for claim in claims if pod in rendered.pods[:1]}
        for container in containers(pod):
            mounts = container.get("volumeMounts", ())
            assert {mount["name"] for mount in mounts} <= names
            assert len({mount["mountPath"] for mount in mounts}) == len(mounts)
        for volume in volumes.values():
            used = [("ConfigMap", volume["configMap"]["name"])] if "configMap" in volume else []
            used += [("Secret", volume["secret"]["secretName"])] if "secret" in volume else []
            sources = volume.get("projected", {}).get("sources", ())
            used += [("Secret", source["secret"]["name"]) for source in sources]
            assert set(used) <= made | given
            assert "projected" not in volume or used, "no Secret at all"


def ports_lead_to_containers(rendered: Rendered) -> None:
    for service in rendered.all("Service"):
        open_ports = {port["name"]: port["containerPort"] for port in rendered.daemon["ports"]}
        assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == open_ports
    for pod in rendered.pods:
        for container in containers(pod):
            names = {port["name"] for port in container.get("ports", ())}
            probes = [container[kind] for kind in container if kind.endswith("Probe")]
            assert {probe["httpGet"]["port"] for probe in probes} <= names


def selectors_find_the_daemon_and_nothing_else(rendered: Rendered) -> None:
    selectors = [one["spec"]["selector"] for one in rendered.all("Service")]
    selectors += [one["spec"]["podSelector"]["matchLabels"] for one in rendered.all("NetworkPolicy")]
    for kind in ("PodDisruptionBudget", "PodMonitor"):
        selectors += [one["spec"]["selector"]["matchLabels"] for one in rendered.all(kind)]
    for pod in rendered.pods:
        labels = pod["metadata"]["labels"].items()
        for selector in selectors:
            assert (selector.items() <= labels) == any(one["name"] == "luminalog-sidecar" for one in containers(pod))
    for monitor in rendered.all("ServiceMonitor"):
        assert (
            monitor["spec"]["selector"]["matchLabels"].items() <= rendered.one("Service")["metadata"]["labels"].items()
        )


def pods_have_no_rights(rendered: Rendered) -> None:
    assert all(one["automountServiceAccountToken"] is False for one in rendered.all("ServiceAccount"))
    for pod in rendered.pods:
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & pod["spec"].keys()
        kinds = {kind for volume in pod["spec"]["volumes"] for kind in volume} - {"name"}
        assert rendered.all("DaemonSet") or "hostPath" not in kinds, "outside of what `restricted` allows"
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            context = {**pod["spec"]["securityContext"], **container["securityContext"]}
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert not context.get("privileged")
            # Only what gives the state's directory to the daemon is root, and without capabilities.
            assert (context["runAsNonRoot"], context["runAsUser"] > 0) == (container["name"] != "prepare-state",) * 2
            assert container["resources"]["limits"]["memory"]


def the_program_takes_its_configuration(rendered: Rendered, directory: Path) -> None:
    loaded = rendered.config(directory, SECRETS)
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    config = loaded.config
    listening = {config.admin.port, *(one.port for one in config.inputs if isinstance(one, HttpInput))}
    listening |= {config.webhooks.port} if config.webhooks else set()
    if rendered.all("Service"):
        assert {port["containerPort"] for port in rendered.daemon["ports"]} == listening
        assert (config.drain, rendered.pod["spec"]["terminationGracePeriodSeconds"]) == (25 * SECOND, 40)


@pytest.mark.parametrize("values", [pytest.param({"mode": mode}, id=mode) for mode in MODES])
def test_lint_finds_nothing_even_where_it_is_strict(values: Values) -> None:
    report = helm.lint(CHART, values, strict=True, kube_version="v1.29.0")
    assert report["errors"] == []
    assert [one["error"] for one in report["messages"] if one["severity"] > 1] == []


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("luminalog-sidecar", {}, "luminalog-sidecar"),
        ("pager", {}, "pager-luminalog-sidecar"),
        ("pager", {"nameOverride": "watch"}, "pager-watch"),
        ("pager", {"fullnameOverride": "it"}, "it"),
        ("p" * 53, {}, "p" * 50),
    ],
)
def test_objects_are_named_after_the_release(name: str, values: Values, expected: str) -> None:
    rendered = render(values, name=name)
    assert rendered.one("StatefulSet")["metadata"]["name"] == expected
    every_object_is_valid(rendered)
    assert all(len(label) <= 63 for one in rendered.documents for label in one["metadata"]["labels"].values())

"""The path of a container's log, or the tag made of it, tells where the log comes from."""

from __future__ import annotations

import pytest

from sidecar.core.decode.containers import Container, container_of

ID = "0123456789abcdef" * 4
UID = "0a1b2c3d-1111-2222-3333-444455556666"
STATIC = "0123456789abcdef" * 2
"""A static pod's uid is a digest."""


@pytest.mark.parametrize(
    ("path", "pod", "identity"),
    [
        (f"/var/log/containers/web-1_shop_app-{ID}.log", "web-1", ID),
        (f"/mnt/host_a/var/log/containers/web.a-1_shop_app-{ID}.log", "web.a-1", ID),
        (f"web-1_shop_app-{ID}.log", "web-1", ID),
        (f"kube.var.log.containers.web.a-1_shop_app-{ID}.log", "web.a-1", ID),
        (f"var.log.containers.web-1_shop_app-{ID}.log", "web-1", ID),
        (f"/var/log/pods/shop_web.a-1_{UID}/app/0.log", "web.a-1", UID),
        (f"/var/log/pods/shop_web-1_{UID}/app/12.log.20260102-030405.gz", "web-1", UID),
        (f"/var/log/pods/shop_web-1_{STATIC}/app/0.log", "web-1", STATIC),
        (f"kube.var.log.pods.shop_web.a-1_{UID}.app.0.log", "web.a-1", UID),
    ],
)
def test_a_path_or_tag_names_pod_namespace_and_container(path, pod, identity):
    found = container_of(path)
    assert found == Container("shop", pod, "app", identity)
    assert found.fields() == {
        "kubernetes": {"namespace_name": "shop", "pod_name": pod, "container_name": "app"},
    }


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/var/log/app/orders.log",
        "/var/log/containers/web-1_shop_app.log",
        f"/var/log/containers/web-1_shop_app-{ID[1:]}.log",
        f"/var/log/containers/web-1_shop_app-{ID}.log.gz",
        f"/var/log/containers/Web_shop_app-{ID}.log",
        f"/var/log/pods/shop_web-1_{UID}/app/other.log",
        f"/var/log/pods/shop_web-1_{UID}/0.log",
        "a_" * 10_000 + "-" * 10_000,
        "var.log.containers." * 2_000,
    ],
)
def test_other_paths_are_no_containers(path):
    assert container_of(path) is None


@pytest.mark.parametrize(
    ("pod", "owner"),
    [
        ("checkout-7d4b9c8f6d-x2x9z", "checkout"),  # Deployment
        ("payment-api-7d4b9c8f6-x2x9z", "payment-api"),
        ("node-exporter-x2x9z", "node-exporter"),  # DaemonSet, Job
        ("report-28391040-abc12", "report"),  # CronJob
        ("postgres-0", "postgres"),  # StatefulSet
        ("postgres-12", "postgres"),
        ("etcd-control-plane", "etcd-control-plane"),
        ("redis-cache", "redis-cache"),  # a word, with vowels as generated names have none
        ("web", "web"),
        ("0", "0"),
    ],
)
def test_pods_of_one_owner_share_a_source(pod, owner):
    container = Container("shop", pod, "app", ID)
    assert (container.owner, container.source) == (owner, f"k8s:shop/{owner}/app")

"""Tells pod, namespace and container from the path of a container's log, as the kubelet names them.

- `/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log`, usually a link to
- `/var/log/pods/NAMESPACE_POD_UID/CONTAINER/RESTARTS.log`, also rotated: `0.log.20260102-030405`
- tags that Fluent Bit makes of either, with dots for slashes: `kube.var.log.containers.POD_…`

Pods come and go while what owns them stays: the owner's name is the pod's without the parts that Kubernetes generates.
Source: Kubernetes, `pkg/kubelet/kuberuntime/legacy.go` and `helpers.go`; names are DNS labels (RFC 1123), so `_` parts.
"""

from __future__ import annotations

import re

import msgspec

_LABEL = r"([a-z0-9][a-z0-9-]*)"
_POD = r"([a-z0-9][a-z0-9.-]*)"

_CONTAINERS = re.compile(
    rf"(?:\A(?:[\w.-]*\.)?var\.log\.containers\.|\A|/){_POD}_{_LABEL}_{_LABEL}-([0-9a-f]{{64}})\.log\Z"
)
_PODS = re.compile(
    rf"(?:\A(?:[\w.-]*\.)?var\.log\.pods\.|\A|/){_LABEL}_{_POD}_([0-9a-f-]{{32,36}})[/.]{_LABEL}[/.]\d+\.log[^/]*\Z"
)

_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
"""The letters of generated names: no vowels, and no digits that look like one."""

_GENERATED = re.compile(
    rf"-{_SAFE}{{8,10}}-{_SAFE}{{5}}\Z"  # a Deployment's replica set and pod
    rf"|-{_SAFE}{{5}}\Z"  # a DaemonSet's or Job's pod
    r"|-\d{8,10}-[a-z0-9]{5}\Z"  # a CronJob's run
    r"|-\d{1,4}\Z"  # a StatefulSet's ordinal
)


SOURCE_PREFIX = "k8s:"
"""What stands before the name of a container in that of a source."""


class Container(msgspec.Struct, frozen=True):
    """Where a log comes from."""

    namespace: str
    pod: str
    container: str
    id: str
    """The container's id, or the pod's uid."""

    @property
    def owner(self) -> str:
        """The name of what keeps the pod alive, as far as the pod's name tells."""
        return _GENERATED.sub("", self.pod) or self.pod

    @property
    def source(self) -> str:
        """Name under which all its instances on this host prove life together."""
        return f"{SOURCE_PREFIX}{self.namespace}/{self.owner}/{self.container}"

    def fields(self) -> dict[str, object]:
        """Return what a record gets, in the shape of Fluent Bit's Kubernetes filter."""
        return {
            "kubernetes": {
                "namespace_name": self.namespace,
                "pod_name": self.pod,
                "container_name": self.container,
            }
        }


def container_of(path: str) -> Container | None:
    """Return the container whose log stands at a path (or under a tag made of one); None if it is none."""
    if found := _CONTAINERS.search(path):
        return Container(found[2], found[1], found[3], found[4])
    if found := _PODS.search(path):
        return Container(found[1], found[2], found[4], found[3])
    return None

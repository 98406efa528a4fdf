"""Reads the lines that a Kubernetes container runtime writes: `TIME stdout|stderr P|F[:tags] text`.

`P` marks a piece of a line that goes on in the next of the same stream.
Source: Kubernetes, "CRI: Log management"; `pkg/kubelet/kuberuntime/logs/logs.go`.
"""

from __future__ import annotations

import re

from sidecar.core.decode.json_object import Fields

_LINE = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) "
    rb"([PF])(?::[^ ]{0,200})?(?: |\Z)"
)


def read_cri(line: bytes) -> tuple[bytes, bool, Fields] | None:
    """Return the text of a line, whether that ends there, and what it was wrapped in; None if it is no such line."""
    found = _LINE.match(line)
    if found is None:
        return None
    time, stream, tag = found.groups()
    return line[found.end() :], tag == b"F", {"stream": stream.decode(), "time": time.decode()}

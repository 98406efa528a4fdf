"""Receives logs over HTTP."""

from __future__ import annotations

from sidecar.inputs.http.report import HttpReport
from sidecar.inputs.http.server import HttpListener

__all__ = ["HttpListener", "HttpReport"]

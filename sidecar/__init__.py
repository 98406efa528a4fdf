"""luminalog-sidecar: one daemon that watches logs and pages people."""

__version__ = "0.1.0"

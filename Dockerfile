# syntax=docker/dockerfile:1
# How to build and run it: docs/docker.md.

ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY sidecar sidecar
COPY config config
COPY systemd systemd
# Everything comes as a wheel: no compiler is needed, and the same files go into the image whoever builds it.
RUN python -m venv /opt/luminalog-sidecar \
    && /opt/luminalog-sidecar/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: hatchling \
    && /opt/luminalog-sidecar/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: .

# How to build, pin and run it: docs/docker.md.

# The version that the tests run on. A release is built from a digest: PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY pyproject.toml README.md LICENSE requirements.lock requirements-build.lock ./
COPY config config
COPY systemd systemd
COPY sidecar sidecar
# Dependencies come as wheels or not at all, each the very file that requirements.lock knows by its hash: nothing of
# theirs runs here, and no compiler is needed.
RUN pip install --require-hashes --only-binary :all: -r requirements-build.lock \
    && pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python -m venv /opt/luminalog-sidecar \
    && /opt/luminalog-sidecar/bin/pip install --require-hashes --only-binary :all: -r requirements.lock \
    && /opt/luminalog-sidecar/bin/pip install --no-deps --no-index /wheels/*.whl \
    && /opt/luminalog-sidecar/bin/pip check \
    && /opt/luminalog-sidecar/bin/pip uninstall --yes pip \
    && mkdir -m 0700 /state

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="luminalog-sidecar" \
      org.opencontainers.image.description="Watches logs and pages people" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm"
ENV PATH=/opt/luminalog-sidecar/bin:$PATH PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/luminalog-sidecar /opt/luminalog-sidecar
COPY --from=build --chown=10001:10001 /state /var/lib/luminalog-sidecar
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
VOLUME /var/lib/luminalog-sidecar
EXPOSE 9880 9881
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ.get('HEALTH_URL', 'http://127.0.0.1:9881/healthz'), timeout=4)"]
ENTRYPOINT ["luminalog-sidecar"]
CMD ["run", "--config", "/etc/luminalog-sidecar/sidecar.yaml"]

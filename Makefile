# Two commands matter: `make demo` and `make test`. Both need Python 3.11 or newer and a package registry, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run-installed
DEV := $(VENV)/.dev-installed
FUZZ := $(VENV)/.fuzz-installed
SUPPLY := $(VENV)/.supply-installed
SECONDS ?= 60
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1) # many tests wait for processes
MINUTES ?= 10

# Debian packages with programs that some tests run; those tests are skipped where they are missing.
SYSTEM_PACKAGES := prometheus systemd

.PHONY: demo test system package lint format types imports unit torture bench bench-grouping memory soak fuzz fuzz-prefilter lock audit licences docs clean

demo: $(RUN) ## the main job on this machine, with no account
	@$(BIN)/luminalog-sidecar demo $(ARGS)

test: system lint types imports unit ## everything that must hold

system: ## installs what SYSTEM_PACKAGES names, if that is possible; never fails
	@missing="$$(for name in $(SYSTEM_PACKAGES); do dpkg -s $$name >/dev/null 2>&1 || printf '%s ' $$name; done)"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; } \
			>/dev/null 2>&1 || echo "could not install $$missing: some tests will be skipped"; \
	fi

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=…"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUN): $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(DEV): $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(RUN)

package: $(DEV) ## the wheel and the source, and whether pip and pipx make a working program of them
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pipx
	.ci/package $(BIN)

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(DEV) ## write the code the way `make test` wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(DEV)
	$(BIN)/mypy

imports: $(DEV)
	$(BIN)/lint-imports

unit: $(DEV)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

torture: $(DEV) ## hundreds of kills and thousands of file actions, under seeds that a failure prints; half an hour
	$(BIN)/python tests/torture $(ARGS)

bench: $(DEV) ## every promise about speed, as ratios measured side by side in one run
	@for tool in rg:ripgrep jq:jq mtail:mtail; do command -v $${tool%%:*} >/dev/null || missing="$$missing $${tool##*:}"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  { apt-get update -qq && apt-get install -y -qq $$missing; } >/dev/null 2>&1 || true; \
	fi
	$(BIN)/python -m benchmarks.speed $(ARGS)

bench-grouping: $(DEV) ## how well grouping finds what belongs together
	$(BIN)/python -m benchmarks.grouping $(ARGS)

memory: $(DEV) ## whether memory stays flat over millions of matching lines
	$(BIN)/python -m benchmarks.memory $(ARGS)

soak: $(DEV) ## whether the real daemon stays flat under a steady load with faults, for MINUTES
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) $(ARGS)

$(FUZZ): $(DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@touch $@

fuzz: $(FUZZ) ## every decoder against arbitrary bytes, for SECONDS in all; findings are kept in fuzz/out/findings
	$(BIN)/python -m fuzz --seconds $(SECONDS) $(ARGS)

fuzz-prefilter: $(DEV) ## millions of odd lines through streams with and without a prefilter, for SECONDS
	$(BIN)/python tests/core/prefilter_trial.py --seconds $(SECONDS) $(ARGS)

$(SUPPLY): $(DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[supply]'
	@touch $@

lock: $(SUPPLY) ## every dependency in one version, with the hashes of its files; ARGS=--upgrade takes the latest that fit
	.ci/lock $(BIN) $(ARGS)

audit: $(SUPPLY) ## known vulnerabilities of what is locked
	.ci/audit $(BIN)

licences: $(DEV) ## lists what each package says of its licence
	$(BIN)/python docs/licences.py docs/licences.md

docs: $(DEV) ## what is generated: tables of the configuration, its schemas, parts of the Helm chart, the dashboard, the README's picture
	$(BIN)/python -m sidecar.config.reference docs/configuration.md docs/rule-tests.md
	$(BIN)/python -m sidecar schema > config/schema.json
	$(BIN)/python -m sidecar schema rules > config/rules.schema.json
	$(BIN)/python -m sidecar schema tests > config/tests.schema.json
	$(BIN)/python helm/generate.py
	$(BIN)/python docs/picture.py docs/demo.svg
	$(BIN)/python config/grafana/dashboard.py config/grafana/luminalog-sidecar.json

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

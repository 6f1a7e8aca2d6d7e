# Every target works on a machine with Python >= 3.11, git and make; uv is used where it is there.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made-from
PYTEST_FLAGS ?= -n 2 --dist loadfile

.PHONY: help setup demo probe test test-slow test-slurm checker check docs screenshots fuzz bench serve lock clean

help: ## say what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with everything in it

$(STAMP): pyproject.toml uv.lock requirements.lock
	@if command -v uv >/dev/null; then uv sync --locked --quiet; \
	else $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock \
	  && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable . ; fi
	@touch $(STAMP)

demo: setup ## the main job on an invented federation: raw logs in, reports out
	$(BIN)/gridkeeper demo demo

probe: setup ## make gridkeeper-probe.pyz, the one file that a site installs
	$(BIN)/python -m gridkeeper.probes.package gridkeeper-probe.pyz

test: setup ## run the tests, but for the slow ones
	$(BIN)/python -m pytest $(PYTEST_FLAGS) -m 'not slow'

test-slow: setup ## run those that take long, kill processes, fill disks and cut power, and all on PostgreSQL
	$(BIN)/python -m pytest $(PYTEST_FLAGS) -m slow

SLURM_PACKAGES := slurm-wlm slurmdbd slurm-client munge
test-slurm: setup ## run the tests that need a real Slurm (as root, with MariaDB; installs Debian's packages where they are missing)
	@missing=; export PATH=$$PATH:/usr/sbin; \
	for program in munged slurmdbd slurmctld slurmd sacct; do command -v $$program >/dev/null || missing=yes; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	    echo "test-slurm needs root and a Slurm 22.05 or newer; on Debian: apt-get install $(SLURM_PACKAGES)" >&2; exit 1; fi; \
	  apt-get -qq update; \
	  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $(SLURM_PACKAGES); fi
	GRIDKEEPER_REQUIRE_SLURM=1 $(BIN)/python -m pytest tests/slurm

CHECKER := .tools/node_modules/vnu-jar/build/dist/vnu.jar
checker: $(CHECKER) ## fetch the checker of HTML that the tests of pages use (needs npm; runs on Java)

$(CHECKER):
	npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix .tools vnu-jar@26.9.27

check: setup ## style, types, imports
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup ## renew the generated pages
	$(BIN)/python -m docs.generate

FORMAT ?= sacct
fuzz: setup ## look for input that makes FORMAT raise (a minute; needs atheris, which this installs)
	$(BIN)/python -m ensurepip >/dev/null 2>&1; $(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=3.0'
	$(BIN)/python -m tests.fuzz.formats $(FORMAT)

bench: setup ## print the performance table
	$(BIN)/python -m benchmarks

demo/reports/index.html:
	$(MAKE) demo

serve: setup demo/reports/index.html ## show the sample federation on http://127.0.0.1:8717
	@echo "http://127.0.0.1:8717 shows the sample federation; Ctrl-C ends it"
	$(BIN)/gridkeeper --home demo/home serve --port 8717

screenshots: setup demo/reports/index.html ## take the pictures of the README anew (needs chromium)
	$(BIN)/python -m docs.screenshots demo/home docs/images

lock: ## renew uv.lock and requirements.lock (needs uv)
	uv lock --upgrade
	uv export --quiet --format requirements-txt --no-emit-project --no-hashes --group dev -o requirements.lock

clean: ## remove what was made
	rm -rf $(VENV) .tools demo gridkeeper-probe.pyz bench-out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

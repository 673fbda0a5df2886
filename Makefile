# `make run`: set everything up and run the main job. `make test`: set everything up and run the checks.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
LOWEST = .venv-lowest

.PHONY: run test lint types tests slow docs news lowest wheel clean

run: $(STAMP)
	$(BIN)/zslbench run sc-egg --dataset toy --threads 1
	$(BIN)/zslbench run sc-egg --dataset toy --threads 1 --reading authors
	$(BIN)/zslbench run tf-vaegan --dataset toy --threads 1
	$(BIN)/zslbench run eszsl --dataset toy --threads 1
	$(BIN)/zslbench table --dataset toy

test: lint tests

# Format, lint, spelling and import rules: the hooks of .pre-commit-config.yaml.
lint: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" PYTHONPATH=plugins $(BIN)/pre-commit run --all-files --show-diff-on-failure

types: $(STAMP)
	$(BIN)/mypy --num-workers auto

# One process per core, each with one thread: more threads than cores wait for each other at every operation.
# Bytecode is kept: many tests start processes of their own. Files are taken in the order of tests/conftest.py.
PYTEST = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder

tests: $(STAMP)
	$(PYTEST) -m "not slow"

# Tests that train for long, start many processes, kill them, or install packages.
slow: $(STAMP)
	$(PYTEST) -m slow

# The documentation site, in docs/_build.
docs: $(STAMP)
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs docs/_build

# Changes since the last release.
news: $(STAMP)
	$(BIN)/towncrier build --draft --version Unreleased

# Imports, runs on toy, stores, tables and reports with the oldest dependencies that pyproject.toml allows.
lowest:
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-lowest.txt -e ".[tests]"
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest --numprocesses=auto --dist=loadfile $(LOWEST_TESTS)

LOWEST_TESTS = tests/plugin tests/store tests/evaluation tests/report tests/acceptance/command \
	tests/plugins/eszsl tests/plugins/tf_vaegan tests/plugins/report/html

# The wheel in an empty environment, away from the checkout.
wheel: $(STAMP)
	sh tests/wheel.sh $(BIN)/python

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) $(LOWEST) dist build docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis

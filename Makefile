# `make run`: set everything up and run the main job. `make test`: set everything up and check everything.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed

.PHONY: run test lint types tests wheel clean

run: $(STAMP)
	$(BIN)/zslbench run sc-egg --dataset toy --threads 1
	$(BIN)/zslbench run sc-egg --dataset toy --threads 1 --reading authors
	$(BIN)/zslbench run tf-vaegan --dataset toy --threads 1
	$(BIN)/zslbench run eszsl --dataset toy --threads 1
	$(BIN)/zslbench table --dataset toy

test: lint types tests

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

# One process per core, each with one thread: more threads than cores wait for each other at every operation.
tests: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=auto --dist=loadfile

# The wheel in an empty environment, away from the checkout.
wheel: $(STAMP)
	sh tests/wheel.sh $(BIN)/python

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

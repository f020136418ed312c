# Everything one does here. `make help` lists it.
#
#   PYTHON=python3.12 make setup    another Python for the environment (3.10 or newer)
#   ARGS="--steps 4000" make train  more options for the command behind a target

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
ARGS ?=
OUT ?= runs/digits
# Formulas that were set before, and the report of the tests that the marks on the pages go by
export PYLIT_CACHE := $(CURDIR)/.pylit-cache
JUNIT = $(if $(wildcard report.xml),--junit report.xml)
# As many test processes as there are cores, each with one thread
JOBS ?= auto

.DEFAULT_GOAL := help
.PHONY: help setup train sample test lint types format docs docs-check docs-serve bench-docs \
	figures bench faults quality sizes clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv with the pinned versions (done by the others when needed)

# Made anew when what is needed changes. Half an environment has no mark, and is completed
$(READY): setup.py constraints.txt
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV) || { \
		echo 'error: $(PYTHON) cannot make an environment: install Python 3.10 or newer with venv'; exit 1; }
	@$(RUN) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo 'error: $(VENV) has a Python older than 3.10: rm -r $(VENV); PYTHON=python3.12 make setup'; exit 1; }
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

train: $(READY)  ## train on handwritten digits (3 minutes on 2 cores), into runs/digits
	$(RUN) -m labml_nn.diffusion.ddpm.experiment --preset digits --out $(OUT) \
		$(if $(wildcard $(OUT)/checkpoint.pt),--resume) $(ARGS)

sample: $(READY)  ## sample from runs/digits
	$(RUN) -m labml_nn.diffusion.ddpm.evaluate sample $(OUT) $(ARGS)

test: $(READY)  ## the whole test suite (6 minutes on 2 cores)
	@test -d tests/pylit/node_modules || npm ci --loglevel=error --no-audit --no-fund --prefix tests/pylit \
		|| echo 'note: without npm the tests of the rendered pages are skipped'
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS) --dist loadfile --junit-xml=report.xml $(ARGS)

lint: $(READY)  ## ruff, as linter and as formatter
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(READY)  ## mypy on the package
	$(VENV)/bin/mypy

format: $(READY)  ## format and mend what can be mended
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

docs: $(READY)  ## the pages, in docs/site (needs Node 18)
	@$(RUN) -m labml_nn.pylit setup
	$(RUN) -m labml_nn.pylit check labml_nn --strict $(JUNIT)
	$(RUN) -m labml_nn.pylit build labml_nn -o docs/site $(JUNIT)

docs-check: $(READY)  ## what is wrong in the pages: links, formulas, claims, alt texts
	@$(RUN) -m labml_nn.pylit setup
	$(RUN) -m labml_nn.pylit check labml_nn --strict

docs-serve: $(READY)  ## the pages in a browser, while they are written
	@$(RUN) -m labml_nn.pylit setup
	$(RUN) -m labml_nn.pylit serve labml_nn --open

bench-docs: $(READY)  ## how long the pages take, and how large they are
	$(RUN) -m labml_nn.pylit.bench

figures: $(READY)  ## the pictures and tables of the pages, from runs/digits (15 minutes on 2 cores)
	$(RUN) docs/figures/readme.py $(OUT)
	$(RUN) docs/figures/sampler_orders.py
	$(RUN) docs/figures/sampler_frontier.py $(OUT)

bench: $(READY)  ## times on this machine, ours and the peers', into docs/benchmarks.md (20 minutes)
	$(RUN) docs/bench/report.py $(ARGS)
	$(RUN) docs/bench/sampling.py

faults: $(READY)  ## kill, fill and damage what a run needs, and see that nothing is lost (5 minutes)
	$(RUN) -m tests.faults $(ARGS)

quality: $(READY)  ## how good the samples of runs/digits are (5 minutes on 2 cores)
	$(RUN) docs/bench/digits_quality.py $(OUT)

sizes: $(READY)  ## the lines of each page and its longest function
	$(RUN) tests/sizes.py

clean:  ## remove the environment and what tools have left; runs and data stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

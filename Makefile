# What one does here. `make help` lists it; the rest is in tools/maintain.mk.
#
#   PYTHON=python3.12 make setup    another Python for the environment (3.10 or newer)
#   TORCH=2.6.0 make setup          another torch than the pinned one (TORCHVISION=0.21.0 likewise)
#   TORCH_INDEX=URL make setup      torch from an index of its own, and nothing else from there
#   LOCK=build/lock.txt make setup  only files with these hashes (`make lock` writes them)
#   CONSTRAINTS= make setup         no pins: what the package index has today
#   ARGS="--steps 4000" make train  more options for the command behind a target

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN := $(BIN)/python
READY := $(VENV)/.ready
TORCH ?=
TORCHVISION ?=
TORCH_INDEX ?=
LOCK ?=
CONSTRAINTS ?= constraints.txt
# torch brings its own demands; what it pins exactly is not ours to pin
OTHER_TORCH = $(if $(TORCH),-e 's/^torch==.*/torch==$(TORCH)/' -e '/^sympy==/d' \
	-e $(if $(TORCHVISION),'s/^torchvision==.*/torchvision==$(TORCHVISION)/','/^torchvision==/d'))
ARGS ?=
OUT ?= runs/digits
CONDITIONAL ?= runs/digits_conditional
# Formulas that were set before
export PYLIT_CACHE := $(CURDIR)/.pylit-cache
# As many test processes as there are cores, each with one thread
JOBS ?= auto

.DEFAULT_GOAL := help
.PHONY: help help-all setup train train-classes sample test test-long lint types format docs \
	docs-serve doctor clean

LIST = awk -F ':.*\#\# ' '/^[a-z-]+:.*\#\# / { printf "  make %-18s %s\n", $$1, $$2 }'
help:  ## this list
	@$(LIST) $(firstword $(MAKEFILE_LIST))

help-all:  ## this list, and what those need who look after it: figures, times, releases …
	@$(LIST) $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv with the pinned versions (done by the others when needed)

PIP = $(RUN) -m pip install --quiet --disable-pip-version-check -c $(VENV)/constraints.txt
# A stranger may put a package of any name into a further index. pip.conf is its owner's business
FURTHER_INDEX = note: PIP_EXTRA_INDEX_URL is set: pip takes the highest version that any index has, \
	whoever put it there (for torch alone: TORCH_INDEX)

# Made anew when what is needed changes. Half an environment has no mark, and is completed
$(READY): setup.py constraints.txt
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV) || { \
		echo 'error: $(PYTHON) cannot make an environment: install Python 3.10 or newer with venv'; exit 1; }
	@$(RUN) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo 'error: $(VENV) has a Python older than 3.10: rm -r $(VENV); PYTHON=python3.12 make setup'; exit 1; }
	@sed -e '' $(OTHER_TORCH) $(or $(CONSTRAINTS),/dev/null) > $(VENV)/constraints.txt
	@$(if $(PIP_EXTRA_INDEX_URL),echo '$(strip $(FURTHER_INDEX))' >&2)
	$(if $(TORCH_INDEX),$(PIP) --no-deps --index-url $(TORCH_INDEX) torch torchvision)
	$(if $(LOCK),$(PIP) --require-hashes -r $(LOCK))
	$(PIP) $(if $(LOCK),--no-deps) -e '.[dev]'
	@touch $@

train: $(READY)  ## train on handwritten digits (3 minutes on 2 cores), into runs/digits
	$(RUN) -m labml_nn.diffusion.ddpm.experiment --preset digits --out $(OUT) \
		$(if $(wildcard $(OUT)/checkpoint.pt),--resume) $(ARGS)

train-classes: $(READY)  ## the same, told which digit it is, into runs/digits_conditional
	$(RUN) -m labml_nn.diffusion.ddpm.experiment --preset digits_conditional --out $(CONDITIONAL) \
		$(if $(wildcard $(CONDITIONAL)/checkpoint.pt),--resume) $(ARGS)

sample: $(READY)  ## sample from runs/digits
	$(RUN) -m labml_nn.diffusion.ddpm.evaluate sample $(OUT) $(ARGS)

SUITE = OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder
# What the tests of the rendered pages are measured with
BROWSER = test -d tests/pylit/node_modules \
	|| npm ci --loglevel=error --no-audit --no-fund --prefix tests/pylit \
	|| echo 'note: without npm the tests of the rendered pages are skipped'
test: $(READY)  ## the test suite (10 minutes on 2 cores)
	@$(BROWSER)
	$(SUITE) -m 'not long' $(ARGS)

test-long: $(READY)  ## its other part: kills, several processes, trackers, notebooks (15 minutes)
	@$(BROWSER)
	WHOLE_NOTEBOOKS=true $(SUITE) -m long $(ARGS)

SCHEMA = $(BIN)/check-jsonschema --quiet --builtin-schema
lint: $(READY)  ## ruff, as linter and as formatter; workflows, issue forms and the citation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/actionlint
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) vendor.github-issue-forms .github/ISSUE_TEMPLATE/problem.yml .github/ISSUE_TEMPLATE/question.yml
	$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA) vendor.dependabot .github/dependabot.yml
	$(SCHEMA) vendor.citation-file-format CITATION.cff

types: $(READY)  ## mypy on the package
	$(BIN)/mypy

format: $(READY)  ## format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)  ## the pages, in docs/site, after the tests that they name (needs Node 18)
	@$(RUN) -m labml_nn.pylit setup
	$(RUN) -m labml_nn.pylit check labml_nn --strict
	$(RUN) -m labml_nn.pylit build labml_nn -o docs/site --test

docs-serve: $(READY)  ## the pages in a browser, while they are written
	@$(RUN) -m labml_nn.pylit setup
	$(RUN) -m labml_nn.pylit serve labml_nn --open $(ARGS)

doctor: $(READY)  ## what is installed here, and whether it works
	$(RUN) -m labml_nn.doctor

clean:  ## remove the environment and what tools have left; runs and data stay
	rm -rf $(VENV) .venv-audit .venv-build build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

include tools/maintain.mk

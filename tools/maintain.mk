# What those need who look after all this. `make help-all` lists it; the variables are in Makefile.

.PHONY: pages docs-check translations translations-check notebooks notebooks-check figures live bench bench-docs \
	quality quality-classes bits faults mutants sizes newest lock audit dist gpu

docs-check: $(READY)  ## what is wrong in the pages: links, formulas, claims, alt texts
	@$(RUN) -m labml_nn.pylit setup
	$(RUN) -m labml_nn.pylit check labml_nn --strict

pages: $(READY)  ## the tables of pages, of README.md and of the readme of the DDPM
	$(RUN) docs/pages.py

translations: $(READY)  ## bring docs/locale up to date with the sources
	$(RUN) -m labml_nn.pylit gettext labml_nn

translations-check: $(READY)  ## what is missing, outdated or wrong in the translations
	@$(RUN) -m labml_nn.pylit setup
	$(RUN) -m labml_nn.pylit check labml_nn --strict $(or $(ARGS),--lang zh --lang ja)

notebooks: $(READY)  ## notebooks/*.ipynb from their text form
	$(RUN) notebooks/build.py

notebooks-check: $(READY)  ## whether they are up to date, and run from top to bottom (3 minutes)
	WHOLE_NOTEBOOKS=true $(RUN) -m pytest tests/notebooks --durations 1 $(ARGS)

live: $(READY)  ## weights and pictures of the living figures, from runs/digits (they need Chromium)
	$(RUN) docs/live/digits.py $(OUT)
	$(RUN) docs/live/pictures.py

figures: $(READY)  ## the pictures and tables of the pages, from runs/digits (20 minutes on 2 cores)
	$(RUN) docs/figures/readme.py $(OUT)
	$(RUN) -m docs.figures.data.ddpm $(OUT)
	$(RUN) -m docs.figures.data.schedules
	$(RUN) -m docs.figures.data.targets
	$(RUN) -m docs.figures.data.dit
	$(RUN) -m docs.figures.data.likelihood
	$(RUN) -m docs.figures.data.evaluation
	$(RUN) -m docs.figures.data.samplers
	$(RUN) -m docs.figures.data.frontier $(OUT)
	$(RUN) -m docs.figures.data.coding $(OUT)
	$(RUN) -m docs.figures.data.sde $(OUT)
	$(RUN) -m docs.figures.data.guidance $(CONDITIONAL)
	$(RUN) -m docs.figures.data.editing $(OUT)
	$(RUN) -m docs.figures.data.troubles $(CONDITIONAL)
	$(RUN) -m labml_nn.pylit build labml_nn -o docs/site --execute

bench: $(READY)  ## times on this machine, ours and the peers', onto their page (20 minutes)
	$(RUN) docs/bench/report.py $(ARGS)
	$(RUN) docs/bench/sampling.py

bench-docs: $(READY)  ## how long the pages take, and how large they are
	$(RUN) -m docs.bench.pages
	$(RUN) -m docs.bench.live
	$(RUN) -m labml_nn.pylit.bench

quality: $(READY)  ## how good the samples of runs/digits are (5 minutes on 2 cores)
	$(RUN) -m docs.bench.digits_quality $(OUT)

quality-classes: $(READY)  ## whether runs/digits_conditional draws the digits it is asked for (a minute)
	$(RUN) -m docs.bench.guidance_quality $(CONDITIONAL)

bits: $(READY)  ## what a learned variance saves on the digits (12 minutes on 2 cores)
	$(RUN) -m docs.bench.learned_variance $(OUT) $(OUT)_learned

gpu: $(READY)  ## all that wants a GPU, in one call: tests, times, a training, into build/gpu (half an hour)
	tools/gpu.sh $(ARGS)

faults: $(READY)  ## kill, fill and damage what a run needs, and see that nothing is lost (13 minutes)
	$(RUN) -m tests.faults $(ARGS)

mutants: $(READY)  ## break the mathematics in every way listed, and see each test notice (ARGS=--quick: one a test)
	OMP_NUM_THREADS=1 $(RUN) -m tests.mutants $(ARGS)

sizes: $(READY)  ## the lines of each page and its longest function
	$(RUN) tests/sizes.py

newest:  ## doctor and tests with the newest packages, in ~/.cache/labml_nn/newest (gigabytes)
	.ci/newest

lock: $(READY)  ## what pip would install here, each file with its hash, into build/lock.txt
	@mkdir -p build
	$(PIP) --dry-run --ignore-installed --report build/report.json '.[dev]'
	$(RUN) .ci/lock.py build/report.json > build/lock.new
	@mv build/lock.new build/lock.txt

AUDIT = .venv-audit/$(notdir $(BIN))/python
audit:  ## known holes in the pinned versions (the package index is asked about each)
	@test -x $(AUDIT) || $(PYTHON) -m venv .venv-audit
	$(AUDIT) -m pip install --quiet --disable-pip-version-check -r .ci/audit.txt
	$(AUDIT) -m pip_audit --no-deps --disable-pip -r constraints.txt $(ARGS)

BUILD = .venv-build/$(notdir $(BIN))/python
dist:  ## what is uploaded for a release, into dist
	@test -x $(BUILD) || $(PYTHON) -m venv .venv-build
	$(BUILD) -m pip install --quiet --disable-pip-version-check -r .ci/build.txt
	$(BUILD) -m build --outdir dist .

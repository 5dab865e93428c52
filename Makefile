# Every target makes its own environment first, so each works as the first command on a fresh machine.
#
#   make search  [SPACE=multipath_wide] [EXPERIMENT=default] [ON=supernet] [RESUME=1] [ARGS="--seed 1 ..."]
#   make retrain [ARCH=best.json]  [EXPERIMENT=default] [RESUME=1] [ARGS="--init supernet ..."]
#   make compare [EXPERIMENT=default] [RESUME=1] [ARGS="--compare.networks [...]"]
#   make report  RUN="runs/..."    [ARGS="--output report.html"]
#   make dashboard [RUN=<run id>]
#   make sweep   SWEEP=experiments/sweeps/quick.yaml [WORKERS=2] [RESUME=1] [ARGS="--count 4 ..."]
#   make evaluate WEIGHTS=network.pt BENCHMARK=aflw2000 ROOT=data/AFLW2000 [ARGS="--flip-test"]
#   make ablation [EXPERIMENT=ablation_cpu]

PYTHON  ?= $(shell command -v python3.11 || command -v python3)
VENV    ?= .venv
CONSTRAINTS ?= constraints.txt
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready
NASFACE := $(BIN)/nasface
ARCH    ?= best.json
SWEEP   ?= experiments/sweeps/quick.yaml

settings = $(if $(SPACE),--space $(SPACE)) $(if $(RESUME),--resume true) $(ARGS)
experiment = $(if $(EXPERIMENT),--experiment $(EXPERIMENT))

.PHONY: help env search dashboard retrain evaluate test lint format check bench faces protocols random prize strategies ranking weights docs ablation compare report clean sweep

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

env: $(READY) ## make the Python environment (.venv)

$(READY): pyproject.toml setup.py $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) "setuptools>=77.0.3,<81" wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable ".[nni,dev]"
	@$(BIN)/python -c "import cv2" || { echo "opencv-python needs libGL: apt-get install libgl1 libglib2.0-0 libxcb1"; exit 1; }
	@touch $@

search: $(READY) ## search a space by short trainings or on a supernet (ON=supernet), write best.json
	$(NASFACE) search $(experiment) $(if $(ON),--on $(ON)) $(settings)

sweep: $(READY) ## run the W&B sweep file SWEEP, with W&B's agents or without an account here
	$(NASFACE) sweep $(SWEEP) $(if $(WORKERS),--workers $(WORKERS)) $(if $(RESUME),--resume true) $(ARGS)

dashboard: $(READY) ## open optuna-dashboard on the newest search (needs the extra `dashboard`)
	$(NASFACE) dashboard $(if $(RUN),--run $(RUN)) $(ARGS)

retrain: $(READY) ## train the network of ARCH from scratch and evaluate it
	$(NASFACE) retrain $(experiment) --arch $(ARCH) $(settings)

evaluate: $(READY) ## networks WEIGHTS on the published benchmark BENCHMARK, whose set is in ROOT
	$(NASFACE) evaluate --weights $(WEIGHTS) --benchmark $(BENCHMARK) $(if $(ROOT),--root $(ROOT)) $(ARGS)

compare: $(READY) ## train several networks alike, print one table
	$(NASFACE) compare $(experiment) $(settings)

report: $(READY) ## one HTML page about the runs in RUN (RUN="runs/a runs/b" compares them)
	$(NASFACE) report $(RUN) $(ARGS)

test: $(READY) ## run the tests, one process a core (four at most)
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

lint: $(READY) ## check style, the order of imports, and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(READY) ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint test ## lint and tests

bench: $(READY) ## what the search costs and saves, time of a step (needs a finished search ON=supernet)
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.step_time
	$(BIN)/python -m benchmarks.paper_smoke

faces: $(READY) ## the synthetic faces: a contact sheet, speed, and what an independent predictor makes of them
	$(NASFACE) data preview
	$(BIN)/python -m benchmarks.data $(experiment)
	$(BIN)/python -m benchmarks.realism

protocols: $(READY) ## every protocol of AFLW2000-3D on a published network (AFLW2000=folder ASSETS=3DDFA's files)
	$(BIN)/python -m benchmarks.protocols --aflw2000 $(AFLW2000) --assets $(ASSETS) $(ARGS)

random: $(READY) ## the network of ARCH against random members of the space, all trained alike
	$(BIN)/python -m benchmarks.searched_vs_random --arch $(ARCH) --workers 2 $(ARGS)

prize: $(READY) ## what searches find under budgets, against random and hand-made networks (hours; goes on)
	$(BIN)/python -m benchmarks.prize $(experiment) --workers 2 $(ARGS)

strategies: $(READY) ## every search strategy on the tabular benchmark, 50 seeds each
	$(BIN)/python -m benchmarks.strategies $(ARGS)

ranking: $(READY) ## how well supernets rank members, against members trained on their own
	$(BIN)/python -m benchmarks.ranking $(experiment) $(ARGS)

docs: $(READY) ## build the documentation's site into build/site, strictly
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "build/site/index.html; with its search box: $(BIN)/python -m http.server --bind 127.0.0.1 --directory build/site"

weights: $(READY) ## train and package nasface-s and nasface-m, search those that search_spaces/found lacks (hours; goes on where it was killed)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable ".[export]"
	$(BIN)/python -m tools.make_weights $(ARGS)

ablation: $(READY) ## {uniform, MNUS} x {random search, SAMOS}, the paper's Table IV (EXPERIMENT=ablation_cpu)
	$(BIN)/python -m benchmarks.ablation $(experiment) --workers 2 $(ARGS)

clean: ## remove the environment and caches, not the runs
	rm -rf $(VENV) build cache .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis

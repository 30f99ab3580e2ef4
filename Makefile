# deepmatte: every everyday task is one word. `make help` lists them; ARGS="..." is passed on to the command.
#
# The first call makes .venv and installs the package with its tools. On a machine with a GPU choose the torch build
# that fits it: `make train TORCH="torch>=2.6" ARGS="trainer=gpu budget=full"`. The default is the CPU build of the tests.

PYTHON     ?= python3
VENV       ?= .venv
TORCH      ?= torch==2.13.0
EXPERIMENT ?= loss_combinations
RUN        ?= $(patsubst %/result.json,%,$(shell ls -t runs/train/*/result.json 2>/dev/null | head -1))
ARGS       ?=
BIN        := $(VENV)/bin
# One process a core, each with one thread: small networks are too small to share.
PYTEST     := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup train eval sweep study compare predict test test-all test-browser test-slurm lint bench clean

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(VENV)/.installed ## make .venv and install everything (done by itself on first use)

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "$(TORCH)" --editable ".[dev,joblib,slurm,optuna]"
	@touch $@

train: setup ## train on the embedded data; ends with a table and pictures
	$(BIN)/deepmatte train $(ARGS)

eval: setup ## score the newest training run (or RUN=...) on its test split
	@test -n "$(RUN)" || { echo "make eval: there is no run yet; make one with 'make train', or give RUN=..."; exit 2; }
	$(BIN)/deepmatte evaluate run=$(RUN) $(ARGS)

sweep: setup ## run experiments/$(EXPERIMENT).yaml; ends with the ranking
	$(BIN)/deepmatte train experiments=$(EXPERIMENT) $(ARGS)

study: setup ## run experiments/$(EXPERIMENT).yaml with its baselines and write experiments/$(EXPERIMENT).md
	$(BIN)/deepmatte study $(EXPERIMENT) $(ARGS)

compare: setup ## rank the runs of a sweep, with a page and figures in runs/$(EXPERIMENT)/report
	$(BIN)/deepmatte compare runs/$(EXPERIMENT) --out runs/$(EXPERIMENT)/report $(ARGS)

predict: setup ## matte photographs: ARGS="PHOTO --trimap TRIMAP --out DIR"
	@test -n "$(RUN)" || { echo "make predict: there is no run yet; make one with 'make train', or give RUN=..."; exit 2; }
	$(BIN)/deepmatte predict --run $(RUN) $(ARGS)

test: setup ## the tests that take seconds
	$(PYTEST) -m "not slow" $(ARGS)

test-all: setup ## all tests, also those that train
	$(PYTEST) $(ARGS)

test-browser: setup ## the report's page in a real Chromium (installed where this is root on Debian)
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -qy chromium; } || true
	$(BIN)/python -m pip install --quiet "playwright>=1.48"
	$(BIN)/python -m pytest tests/browser $(ARGS)

test-slurm: setup ## sweeps on a real Slurm of two nodes on this machine (installed where this is root on Debian)
	@command -v slurmctld mariadbd >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends slurm-wlm munge slurmdbd mariadb-server; } || true
	$(BIN)/python -m pip install --quiet "hydra-submitit-launcher>=1.2"
	DEEPMATTE_TEST_SLURM=1 $(BIN)/python -m pytest tests/slurm -rs $(ARGS)

lint: setup ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: setup ## measure speed, as ratios
	for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## remove the environment, caches and build products; runs/ stays
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# deepmatte: one word for each everyday task. `make help` lists them; ARGS="..." is passed to the command.
#
# The first call creates .venv and installs the package with its tools. On a machine with a GPU choose the torch build
# that fits it: `make train TORCH="torch>=2.6" ARGS="trainer=gpu budget=full"`. The default is the build that is tested.

PYTHON     ?= python3
VENV       ?= .venv
TORCH      ?= torch==2.13.0
EXPERIMENT ?= loss_combinations
RUN        ?= $(patsubst %/result.json,%,$(shell ls -t runs/train/*/result.json 2>/dev/null | head -1))
ARGS       ?=
# LOCKED=1 installs exactly what requirements/cpu.txt lists, by its hashes: CPython 3.11 on Linux (x86-64).
LOCKED     ?=
LOCK       := requirements/cpu.txt
# Where the locked torch is: PyPI has its builds for CUDA alone. It is asked only where pip does not find it otherwise.
TORCH_CPU  := https://download.pytorch.org/whl/cpu
# Where `make lock` finds that torch; without a way there: make lock LOCKING="--find-links FOLDER_OF_ITS_WHEEL".
LOCKING    ?= --torch-backend cpu
EXTRAS     := dev,joblib,slurm,optuna,pretrained,serve,onnx
comma      := ,
BIN        := $(VENV)/bin
# One process per core with one thread each: small networks gain nothing from more threads.
PYTEST     := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup train eval sweep study compare predict test test-all test-browser test-slurm test-lowest test-next \
  docs docs-serve lint lock audit campaign bench release clean

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

locked = $(BIN)/python -m pip install --quiet --require-hashes $(1)

setup: $(VENV)/.installed ## create .venv and install everything (automatic on first use)

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
ifeq ($(LOCKED),)
	$(BIN)/python -m pip install --quiet "$(TORCH)" --editable ".[$(EXTRAS)]"
else
	grep -A1 '^torch==' $(LOCK) > $(VENV)/torch.txt
	$(call locked,--no-deps --requirement $(VENV)/torch.txt) 2>/dev/null \
	  || $(call locked,--no-deps --requirement $(VENV)/torch.txt --extra-index-url $(TORCH_CPU))
	$(call locked,--requirement $(LOCK))
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
endif
	@touch $@

train: setup ## train on the embedded data; ends with a table and pictures
	$(BIN)/deepmatte train $(ARGS)

eval: setup ## score the newest run (or RUN=...) on its test split
	@test -n "$(RUN)" || { echo "make eval: there is no run yet; train one with 'make train', or give RUN=..."; exit 2; }
	$(BIN)/deepmatte evaluate "$(RUN)" $(ARGS)

sweep: setup ## run experiments/$(EXPERIMENT).yaml; ends with the ranking
	$(BIN)/deepmatte train experiments=$(EXPERIMENT) $(ARGS)

study: setup ## the same with its baselines; writes experiments/$(EXPERIMENT).md
	$(BIN)/deepmatte study $(EXPERIMENT) $(ARGS)

compare: setup ## compare the settings of that sweep; writes runs/$(EXPERIMENT)/report
	$(BIN)/deepmatte compare runs/$(EXPERIMENT) --out runs/$(EXPERIMENT)/report $(ARGS)

predict: setup ## matte photographs with the newest run (or RUN=...): ARGS="PHOTO --trimap TRIMAP --out DIR"
	@test -n "$(RUN)" || { echo "make predict: there is no run yet; train one with 'make train', or give RUN=..."; exit 2; }
	$(BIN)/deepmatte predict "$(RUN)" $(ARGS)

test: setup ## the fast tests
	$(PYTEST) -m "not slow" $(ARGS)

test-all: setup ## all tests, slow ones included
	$(PYTEST) $(ARGS)

test-browser: setup ## the pages of reports and server in a real Chromium (root on Debian: installs it)
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -qy chromium; } || true
	$(BIN)/python -m pip install --quiet "playwright>=1.48"
	$(BIN)/python -m pytest tests/browser $(ARGS)

test-slurm: setup ## sweeps on a real Slurm of two nodes (root on Debian: installs it)
	@command -v slurmctld mariadbd >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends slurm-wlm munge slurmdbd mariadb-server; } || true
	$(BIN)/python -m pip install --quiet "hydra-submitit-launcher>=1.2"
	DEEPMATTE_TEST_SLURM=1 $(BIN)/python -m pytest tests/slurm -rs $(ARGS)

# $(call test-versions,FOLDER,OPTIONS): the fast tests in an environment of its own, with what uv resolves under
# these options. DRY=1 only says what that is.
define test-versions
test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
$(1)/bin/python -m pip install --quiet "uv>=0.5"
$(1)/bin/uv pip install --python $(1)/bin/python $(if $(DRY),--dry-run) $(2) --editable ".[$(EXTRAS)]"
$(if $(DRY),,OMP_NUM_THREADS=1 $(1)/bin/python -m pytest -n auto --dist worksteal -m "not slow" $(ARGS))
endef

test-lowest: ## the fast tests with the lowest versions that are allowed, in .venv-lowest
	$(call test-versions,.venv-lowest,--resolution lowest-direct --constraint requirements/lowest.txt)

test-next: ## the fast tests with the newest versions and Hydra's candidates, in .venv-next
	$(call test-versions,.venv-next,--upgrade --requirement requirements/next.txt)

lock: setup ## write requirements/cpu.txt anew, from which LOCKED=1 installs
	$(BIN)/python -m pip install --quiet "uv>=0.5"
	echo "$(TORCH)" | $(BIN)/uv pip compile --quiet --upgrade --python $(BIN)/python --generate-hashes --no-header \
	  --no-annotate --no-emit-index-url --no-emit-find-links $(LOCKING) $(addprefix --extra ,$(subst $(comma), ,$(EXTRAS))) \
	  --output-file $(LOCK) pyproject.toml requirements/build.in -
	sed -i '1i # What `make setup LOCKED=1` installs: the CPU set-up on CPython 3.11 and Linux (x86-64), by `make lock`.' $(LOCK)

# Without the notice on MkDocs 2 that Material prints; the lower bounds of the extra `docs` keep 1.6.
docs docs-serve: export NO_MKDOCS_2_WARNING = 1

docs: setup ## build the documentation into site/; dead links and outside requests are errors
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	$(BIN)/python -m mkdocs build --strict $(ARGS)
	@echo "site/index.html (search needs a server: make docs-serve)"

docs-serve: setup ## serve the documentation at http://127.0.0.1:8000 and follow changes
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	$(BIN)/python -m mkdocs serve $(ARGS)

lint: setup ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: setup ## look for known vulnerabilities in the dependencies, and for unsafe code (needs the network)
	$(BIN)/python -m pip install --quiet "bandit[toml]>=1.8" "pip-audit>=2.7"
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src campaigns
	$(BIN)/pip-audit --skip-editable --progress-spinner off

campaign: setup ## try to break what is promised, for ten minutes or ARGS="kills --minutes 60" (docs/reliability.md)
	$(BIN)/python -m campaigns $(ARGS)

bench: setup ## measure speed, in ratios
	for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

release: setup ## build, check and use wheel and sdist as a stranger would; writes dist/ (needs the network)
	$(BIN)/python -m pip install --quiet --editable ".[release]"
	$(BIN)/python -m release --torch "$(TORCH)" $(ARGS)

clean: ## remove .venv, caches and build products; keep runs/
	rm -rf $(VENV) .venv-lowest .venv-next build dist site .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

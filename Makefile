# deepmatte: every everyday task is one word. `make help` lists them; ARGS="..." is passed on.
#
# The first call makes .venv and installs the package with its tools. On a machine with a GPU choose the torch build
# that fits your CUDA version: `make train TORCH="torch>=2.6"` (the default is the CPU build that the tests run on).

PYTHON ?= python3
VENV   ?= .venv
TORCH  ?= torch==2.13.0
ARGS   ?=
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.installed ## make .venv and install everything (done by itself on first use)

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install "$(TORCH)" --editable ".[dev,joblib]"
	@touch $@

# Set up, run and test on a machine with Python 3.11 or later, make and a Python package index.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CORES ?= all
WORKERS ?= auto
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup leaderboard test test-all lint lock

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.installed ## make .venv: what requirements.lock pins, and boomlib from this checkout

.venv/.installed: requirements.lock pyproject.toml boomlib/version.py
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, found " + sys.version.split()[0] + "; set PYTHON=") if sys.version_info < (3, 11) else None'
	@case "$$PWD" in *[\"\$$\`\\:{}]*) echo "in $$PWD: a path without \" \$$ \` \\ : { } is needed; move the checkout"; exit 1;; esac
	@echo "== set-up: installing $$(grep -c == requirements.lock) packages into .venv"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --requirement requirements.lock
	$(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
	@touch $@

leaderboard: setup ## run the default benchmark: results/leaderboard.md
	@start=$$SECONDS; $(BIN)/snakemake --cores $(CORES) results/leaderboard.md results/site/index.html; \
	echo "== make leaderboard: $$((SECONDS - start)) s; see results/leaderboard.md and results/site/index.html"

test: setup ## run the tests, but for those marked slow
	@start=$$SECONDS; $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal --durations 10 -m "not slow"; echo "== make test: $$((SECONDS - start)) s"

test-all: setup ## run the tests that `make test` leaves out: whole benchmarks, kills, SLURM
	@start=$$SECONDS; $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup --durations 25 -m slow; echo "== make test-all: $$((SECONDS - start)) s"

lint: setup ## check style, types, imports and the published pages (.pre-commit-config.yaml)
	$(BIN)/pre-commit run --all-files

lock: setup ## pin the newest releases that pyproject.toml admits
	$(BIN)/python -m pip install pip-tools
	$(BIN)/pip-compile --upgrade --extra dev --extra slurm --strip-extras --allow-unsafe --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
		--output-file requirements.lock pyproject.toml
	@# a build's local version (torch+cpu) is not on every index
	sed -i -e 's/+cpu$$//' -e '/^#/d' -e '/^$$/d' requirements.lock
	LC_ALL=C sort -t= -k1,1 -o requirements.lock requirements.lock

# `make` alone says what there is. Two targets are enough to begin: run and test.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:

PYTHON ?= python3
PY := .venv/bin/python
STAMP := .venv/installed
# Checks must neither read nor make the database that `make run` uses.
SCRATCH := .cache/scratch

.PHONY: run test lint format bench help install

run: $(STAMP) ## Start the site: make run [PHOTOS=folder] [MANIFEST=file] [SOURCE=name] [LICENCE=..] [LEGAL_BASIS=..] [PORT=8000]
	@command=(manage.py up)
	for name in PHOTOS MANIFEST SOURCE LICENCE LEGAL_BASIS PORT; do
	  if [ -n "$${!name:-}" ]; then command+=("--$$(tr A-Z_ a-z- <<< "$$name")" "$${!name}"); fi
	done
	exec $(PY) "$${command[@]}"

test: $(STAMP) lint ## Everything that must hold: lint, scripts, the suite on SQLite, and again on PostgreSQL and Redis
	@bash tests/system_packages.sh
	if ls tests/js/*.test.js > /dev/null 2>&1; then node --test tests/js/*.test.js; fi
	echo "== on SQLite and the queue of files"
	$(PY) -m pytest -q -n 2 --dist worksteal
	echo "== on PostgreSQL and Redis"
	# The cores know no database, and pages look the same on any: neither is run twice, nor what is marked so.
	$(PY) -m tests.services -- $(PY) -m pytest -q -n 2 --dist worksteal -m "not browser and not once" \
	  --ignore tests/annotation/core --ignore tests/inference/core --ignore tests/training/core

lint: $(STAMP) ## Style, types, import direction, missing migrations, known holes of the packages
	@mkdir -p $(SCRATCH)
	export DAGER_DATA="$$PWD/$(SCRATCH)"
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --cache-dir .cache/import_linter
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) -m tests.advisories

format: $(STAMP) ## Rewrite the code in the house style
	@.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: $(STAMP) ## Print the tables of figures that README shows (reads ../shared/data)
	@for file in $$(grep -l "__main__" tests/benchmarks/*.py); do
	  echo "== $$file"
	  $(PY) -m "tests.benchmarks.$$(basename "$$file" .py)"
	done

install: $(STAMP) ## Make .venv with everything pinned in constraints.txt, and nothing else

# opencv-python needs libGL and glib, which a server lacks. The headless build of the same version is the
# same cv2 without windows: laid over it, `import cv2` works everywhere. Of fer only a file of weights is wanted, not
# TensorFlow and all else that it asks for.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || {
	  echo "DAGER needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another one: make run PYTHON=python3.11" >&2
	  exit 1
	}
	[ -x $(PY) ] || $(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
	echo "Installing what constraints.txt pins (a minute or two) ..."
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps --force-reinstall opencv-python-headless
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps fer
	touch $(STAMP)

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Every target works from a fresh clone: the virtual environment is made when it is missing.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# One more than there are cores: a test of a whole daemon waits as long as it works.
WORKERS = $(shell $(BIN)/python -c 'import os; print(os.cpu_count() + 1)')

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench clean

help: ## what each target does
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/.installed: pyproject.toml hatch_build.py $(wildcard src/ekiden/dkim/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Ekiden needs Python 3.11 or newer; say make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(BIN)/.installed-dev: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(BIN)/.installed ## send a real campaign of 2,000 to a simulated world and check every mailbox
	$(BIN)/ekiden demo

test: $(BIN)/.installed-dev ## all tests
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal

check: $(BIN)/.installed-dev ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(BIN)/.installed-dev ## put the code into its one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(BIN)/.installed-dev ## Ekiden and other mailers in turn against one sink, with a table and a chart
	-.ci/receivers "$(CURDIR)/bench/out/mailers"
	EKIDEN_MTAS="$${EKIDEN_MTAS:-$(CURDIR)/bench/out/mailers}" $(BIN)/python -m bench

clean: ## remove what make made
	rm -rf $(VENV) demo-run dist build src/ekiden/dkim/_batch.so src/ekiden/dkim/_stand_ins

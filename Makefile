# Every command of the project. The environment is .venv; a machine needs Python 3.11 or newer and nothing else.
# PYTHON=python3.12 chooses another Python, WORKERS=0 runs the tests in one process, BENCH="..." what to measure.

WORKERS ?= 3
BENCH ?= all
URL ?= http://127.0.0.1:8000/sign-in
BIN := .venv/bin

export PYTHON

.PHONY: help install demo test lint lint-python lint-web test-web web screenshots lighthouse format bench lock clean

help:
	@echo "make demo         start everything and watch three real meters"
	@echo "make install      create .venv with all that Kilowatch needs"
	@echo "make test         lint and run every test"
	@echo "make lint         ruff, mypy, import order; the same for the web app"
	@echo "make web          build the web app, even if nothing changed"
	@echo "make screenshots  every page in every look, into build/screenshots"
	@echo "make lighthouse   measure the sign-in page of a running instance (URL=...), where Lighthouse is installed"
	@echo "make bench        measure everything for a short while (BENCH=\"ingest --form arrow\" for one thing)"
	@echo "make format       let ruff write the code its way"
	@echo "make lock         write the constraints files anew"
	@echo "make clean        remove .venv and all caches; ./data stays"

install:
	@scripts/install runtime

demo: install
	@exec $(BIN)/kw up --demo

test:
	@scripts/install test
	@$(MAKE) --no-print-directory -j2 lint-python test-web
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint:
	@scripts/install test
	@$(MAKE) --no-print-directory -j2 lint-python lint-web

lint-python:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

lint-web:
	@scripts/web npm run lint
	@scripts/web npm run types
	@scripts/web npm run api:check

test-web: lint-web
	@scripts/web npm test

web:
	@KILOWATCH_WEB=skip scripts/install runtime
	KILOWATCH_WEB=force $(BIN)/python hatch_build.py

screenshots:
	@scripts/install test
	$(BIN)/python hatch_build.py packages
	$(BIN)/python -m tests.web.screenshots build/screenshots

lighthouse:
	@mkdir -p build
	@scripts/web npx --no-install lighthouse $(URL) --preset=desktop --quiet --output=json --output=html \
		--output-path=../build/lighthouse --chrome-flags="--headless=new --no-sandbox --disable-gpu"

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
	rm -rf web/node_modules src/kilowatch/web/dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

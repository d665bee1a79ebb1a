PYTHON ?= python3.11
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
export APP_ENV ?= dev
export OMP_WAIT_POLICY ?= PASSIVE
export PYTHONUNBUFFERED := 1

.PHONY: demo up test test-all check lock shots
demo up test test-all check shots: $(VENV)/.made

$(VENV)/.made: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check "$(TORCH)"
	touch $@

demo:
	$(BIN)/python manage.py demo $(if $(DATA),--data "$(DATA)") $(if $(SEED),--seed $(SEED)) $(if $(AGAIN),--again) $(if $(filter 0,$(SERVE)),--no-serve)

up:
	$(BIN)/python manage.py up

TESTS := -n auto --maxprocesses 4 --dist worksteal

test:
	$(BIN)/pytest $(TESTS)

test-all:
	$(BIN)/pytest $(TESTS) -m "full or not full"

check:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint --check --lint --quiet annotate/templates rlhf/templates
	$(BIN)/python manage.py makemigrations --check --dry-run

lock:
	uv pip compile requirements.in --python-version 3.11 --generate-hashes --no-emit-package torch --no-emit-package setuptools --no-annotate --no-header -o requirements.lock

shots:
	$(BIN)/python -m tests.browser.shots

# Everything is kept under .venv/ and dist/ in this folder; nothing else of the machine is touched.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The first Python that is new enough. Another one: make demo PYTHON=/path/to/python
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
python = $(or $(PYTHON),$(error Python 3.11 or newer is needed and was not found. \
    Install it, or say where it is: make $(firstword $(MAKECMDGOALS)) PYTHON=/path/to/python3.11))

# Airflow takes three times as long to start where nothing may be compiled for the next time.
unexport PYTHONDONTWRITEBYTECODE

# The tests of one real Airflow stay together, in one process. How many processes there are stands in tests/conftest.py.
on_all_cores = --numprocesses auto --dist loadgroup

# These hold or fail on any Airflow alike. The matrix runs all tests everywhere.
without_airflow = tests/api tests/docs tests/emulator tests/ingest tests/proofs tests/scripts

# What a night does at random can be had again: make nightly SEED=1767225600
SEED ?= $(shell date +%s)
schedules = tests/proofs/test_fault_schedules.py --hypothesis-seed=$(SEED)

# Handed over in the environment, so that any file name survives. A relative one starts where make was called.
demo: export DEMO_FILE = $(value FILE)
demo: export DEMO_FOLDER = $(or $(value PWD),$(CURDIR))

.PHONY: help demo emulator test test-3 test-2.11 test-matrix test-lowest nightly nightly-3 nightly-2.11 nightly-waits nightly-large nightly-fleet screenshots lint docs build clean tools airflow-3 airflow-3.2 airflow-3.1 airflow-3.0 airflow-2.11 lowest wheel-3 wheel-2.11 sphinx

help:  ## Show this list
	@sed -n 's/^\([a-z0-9.-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-22s %s\n", $$1, $$2}'

demo: airflow-3  ## Run the classic DAG against the emulator; FILE=path ingests a file of yours
	@.venv/airflow-3/bin/python scripts/demo.py

emulator: airflow-3  ## Start the emulator and leave it running until ctrl-C
	@.venv/airflow-3/bin/python -m airflow_provider_catalog.emulator

test: test-3 test-2.11  ## Run the whole test suite on Airflow 3, and on Airflow 2.11 what of it depends on Airflow

test-3: airflow-3  ## Run the whole test suite on the newest Airflow 3
	.venv/airflow-3/bin/python -m pytest $(on_all_cores)

test-2.11: airflow-2.11  ## Run the tests that depend on Airflow on Airflow 2.11
	.venv/airflow-2.11/bin/python -m pytest $(on_all_cores) $(addprefix --ignore=,$(without_airflow))

# For less: make test-matrix ENVIRONMENTS="airflow-3.1 airflow-3.2" PYTHONS=3.12 TESTS=tests/operators
test-matrix: tools  ## Run the tests on Airflow 2.11 to 3.3, on Python 3.11 to 3.13 as far as they are here: takes hours
	@"$(python)" scripts/matrix.py $(if $(ENVIRONMENTS),--environments $(ENVIRONMENTS)) $(if $(PYTHONS),--pythons $(PYTHONS)) -- $(TESTS)

test-lowest: lowest  ## Run the whole test suite with the lowest versions of all that this package needs
	.venv/lowest/bin/python -m pytest $(on_all_cores)

nightly: nightly-3 nightly-2.11 nightly-waits nightly-large nightly-fleet  ## Run all that takes too long for each change: the five below

nightly-3: airflow-3  ## Drive a thousand random schedules of faults on the newest Airflow 3; SEED=number repeats them
	FAULT_SCHEDULES=1000 .venv/airflow-3/bin/python -m pytest $(schedules)

nightly-2.11: airflow-2.11  ## Drive a thousand random schedules of faults on Airflow 2.11; SEED=number repeats them
	FAULT_SCHEDULES=1000 .venv/airflow-2.11/bin/python -m pytest $(schedules)

nightly-waits: airflow-3  ## Let 300 tasks wait, and DAGs start when data arrive, through trouble in a real Airflow 3: takes a quarter of an hour
	WAITS=300 .venv/airflow-3/bin/python -m pytest --capture=no tests/system/test_many_waits.py tests/system/test_arrivals.py

# The files lie where TMPDIR says.
nightly-large: airflow-3  ## Load gigabytes, and 25,000 files: takes a quarter of an hour or more, and 11 GB in TMPDIR
	.venv/airflow-3/bin/python -m pytest tests/large

nightly-fleet: airflow-3  ## Load 200 files on a fleet whose workers and triggerers are killed at random; needs PostgreSQL and Redis
	FLEET_SEED=$(SEED) .venv/airflow-3/bin/python -m pytest -s tests/system/test_fleet.py

screenshots: airflow-3  ## Make the pictures in docs/images/ anew; needs Debian's chromium and chromium-driver
	PYTHONPATH=scripts:tests/support .venv/airflow-3/bin/python tests/system/screenshots.py

lint: airflow-3  ## Check style, format and types
	.venv/airflow-3/bin/ruff check .
	.venv/airflow-3/bin/ruff format --check .
	.venv/airflow-3/bin/mypy --strict airflow_provider_catalog example_dags

# Airflow is imported for the docstrings, and wants a home.
docs: sphinx  ## Build the documentation into build/docs/; broken links are errors
	@rm -rf docs/reference build/docs
	AIRFLOW_HOME=$(CURDIR)/build/airflow .venv/sphinx/bin/python -m sphinx --quiet --fail-on-warning --keep-going \
	    --doctree-dir build/doctrees docs build/docs

build: tools  ## Build the wheel and the source archive into dist/
	@rm -rf dist
	.venv/tools/bin/uv build --quiet --python "$(python)" --out-dir dist
	@ls dist

clean:  ## Remove everything that was set up or built here
	rm -rf .venv build dist docs/reference *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# What each environment holds stands in scripts/environment.py.
tools airflow-3 airflow-3.2 airflow-3.1 airflow-3.0 airflow-2.11 lowest wheel-3 wheel-2.11 sphinx:
	@"$(python)" scripts/environment.py $@

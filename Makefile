# Everything a developer or a machine runs, by name. `make help` lists it.
PYTHON ?= python3
VENV := .venv/bin
CODE := $(wildcard src tests bench)
# The lock pins public files, not what one machine's pip settings add to them.
PUBLIC := env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null

.DEFAULT_GOAL := help
.PHONY: serve test test-slow check fix fuzz faults sim sim-long mutants bench lock help

serve: .venv/installed ## start the server: make serve ARGS="--port 8000"
	$(VENV)/commerce serve $(ARGS)

test: check ## static checks, then every test with the coverage gate
	$(VENV)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --cov -m "not slow" $(ARGS)

test-slow: .venv/installed ## the tests that `make test` leaves out because they take long
	$(VENV)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow $(ARGS)

check: .venv/installed ## static checks: format, lint, types, layers
	$(VENV)/ruff format --check $(CODE)
	$(VENV)/ruff check $(CODE)
	$(VENV)/mypy $(CODE)
	$(VENV)/lint-imports --no-logo

fix: .venv/installed ## format the code and mend what the linter can
	$(VENV)/ruff format $(CODE)
	$(VENV)/ruff check --fix $(CODE)

fuzz: .venv/installed ## let schemathesis loose for longer: make fuzz EXAMPLES=200
	TEST_EXAMPLES=$(or $(EXAMPLES),100) $(VENV)/python -m pytest tests/reference/fuzz

faults: .venv/installed ## kill, stop, cut, fill and turn back for longer
	FAULTS_LONG=1 $(VENV)/python -m pytest tests/faults -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

sim: .venv/installed ## play one seeded world in memory and tell its story: make sim SEED=7
	$(VENV)/python -m tests.simulation $(or $(SEED),0)

sim-long: .venv/installed ## play 10,000 seeded worlds on every core: make sim-long SEED=20000
	$(VENV)/python -m tests.simulation $(or $(SEED),0) --count 10000

mutants: .venv/installed ## break kernel, ledger, books and engine bit by bit: make mutants ARGS=engine/lane
	$(VENV)/python -m tests.mutation $(ARGS)

bench: .venv/installed ## run the benchmarks: make bench ARGS="--help"
	$(VENV)/python -m bench $(ARGS)

lock: .venv/installed ## pin every dependency anew: make lock ARGS=--upgrade
	$(PUBLIC) $(VENV)/pip-compile --extra dev --generate-hashes --allow-unsafe --no-strip-extras --no-header \
		--no-build-isolation --no-emit-options --output-file requirements.lock \
		$(ARGS) pyproject.toml

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environment is what the lock says and nothing else: a new lock builds it anew.
.venv/locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3'; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(VENV)/python -m pip install --quiet --require-hashes -r requirements.lock
	@touch $@

.venv/installed: .venv/locked pyproject.toml
	$(VENV)/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

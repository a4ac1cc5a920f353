# make demo: from a fresh machine with Python 3.11 or newer to the demo's report. make test: the tests.
# make test-cluster: a study on a one-node SLURM of this machine (root, Debian). make test-faults: a study and all that
# can go wrong with it. make fuzz: every reader on damaged files, a minute each.
PYTHON ?= python3
BIN := .venv/bin
export PYTHONPATH := $(CURDIR)/workflow

.PHONY: demo test test-cluster test-faults fuzz check bench clean

demo: .venv/installed
	$(BIN)/snakemake --cores all --configfile config/config.yaml
	@$(BIN)/egara tables show results/demo/tables/cosine.tsv results/demo/tables/neighbours.tsv \
		--report results/demo/report.html

test: .venv/tested
	$(BIN)/python -m pytest tests/unit tests/workflow

test-cluster: .venv/tested
	$(BIN)/python -m pytest tests/slurm

test-faults: .venv/tested
	$(BIN)/python -m pytest tests/faults

fuzz: .venv/tested
	$(BIN)/python tests/fuzz/run.py --seconds 60

check: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile workflow/rules
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/snakemake --lint

bench: .venv/tested
	$(BIN)/python benchmarks/weights.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/dag.py
	$(BIN)/python benchmarks/check.py

.venv/installed: envs/requirements.txt envs/constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Egara needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/requirements.txt -c envs/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

.venv/tested: .venv/installed envs/development.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/development.txt -c envs/constraints.txt
	touch $@

clean:
	rm -rf results logs .snakemake

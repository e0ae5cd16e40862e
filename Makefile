# make demo   install what is locked, run the embedded demo, say where the report is
# make test   the same set-up, linters, then the whole test suite, two parts of it side by side
# make test-slurm   the workflow through a real SLURM of one node, which it installs and starts (Debian, root):
#                   half an hour; ONLY=first is its first test, half a minute
PYTHON ?= python3
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH"

.DEFAULT_GOAL := demo
.DELETE_ON_ERROR:
.PHONY: demo test test-library test-folders test-workflow test-slurm lint format clean

demo: .venv/.installed
	$(RUN) python -m snakemake --cores all
	@echo "The report: $(CURDIR)/results/report.html"
	@echo "To use swagv and snakemake from here on: . .venv/bin/activate"

# Snakemake waits now and then, so two parts at a time take less than their sum; the last one, of these folders, comes
# when the first of the others is done. Threads that wait must not spin, or either part takes the cores of the other.
FOLDERS := $(addprefix tests/,benchmarks datasets docs models oracles)
test: lint
	@echo "Two of three parts of the tests at a time; each prints what it did when it is done, after some minutes."
	$(MAKE) --jobs=2 --output-sync test-library test-workflow test-folders

test-library test-folders test-workflow: export OMP_WAIT_POLICY = PASSIVE
test-library: .venv/.installed-test
	$(RUN) python -m pytest -m "not workflow and not slurm" $(addprefix --ignore=,$(FOLDERS)) tests
test-folders: .venv/.installed-test
	$(RUN) python -m pytest -m "not workflow and not slurm" $(FOLDERS)
test-workflow: .venv/.installed-test
	$(RUN) python -m pytest -m workflow

test-slurm: .venv/.installed-test
	$(RUN) python -m pytest -rs -m slurm -k "$(ONLY)" tests/workflow

lint: .venv/.installed-test
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) snakefmt --check Snakefile workflow
	$(RUN) python -m snakemake --lint

format: .venv/.installed-test
	$(RUN) ruff check --fix .
	$(RUN) ruff format .
	$(RUN) snakefmt Snakefile workflow

# Caches and build leftovers only: results/ may be days of work, and .snakemake/ knows how it was made.
clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name .venv -prune -o -name results -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# pip is asked for, not only python: a venv made without ensurepip is half a venv.
.venv/.installed: envs/requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "swagv needs Python 3.11 or newer; '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	.venv/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install -r envs/requirements.lock
	.venv/bin/python -m pip install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.installed-test: envs/requirements-test.lock .venv/.installed
	.venv/bin/python -m pip install -r envs/requirements-test.lock
	@touch $@

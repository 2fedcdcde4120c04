# make demo    a complete small study, its report and one prediction
# make test    the tests (SLOW=1 for all of them)
# make check   format, lint, types, floors
# make bench   the benchmarks, one ratio or table each

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.PHONY: demo test check bench clean

# The CPU build of torch is pinned and installed first: an unpinned torch brings gigabytes of CUDA along.
$(STAMP): pyproject.toml constraints.txt
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint constraints.txt torch
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(STAMP)
	$(VENV)/bin/sharewise demo

test: $(STAMP)
	$(RUN) -m pytest -n auto --maxprocesses 4 --dist worksteal $(if $(SLOW),--slow) $(ARGS)

check: $(STAMP)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(STAMP)
	for script in benchmarks/*.py; do echo "== $$script"; $(RUN) $$script --quick || exit 1; done

clean:
	rm -rf $(VENV) demo runs

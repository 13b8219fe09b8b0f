# Two commands do everything: `make run` and `make test`. Both create .venv first. `make slow` tests
# whole runs on servers, clusters and batch systems; `make soak` kills runs again and again.
PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
VERSIONS ?= versions.txt
BIN := .venv/bin
STORE ?= ritz-store
# Tests wait for other processes about as often as they compute: three at a time keep two cores busy.
TESTERS ?= 3

# The tests start hundreds of processes, which shall not compile the same modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test slow conventions soak lint layouts versions clean

run: .venv/run.stamp
	$(BIN)/ritz run darcy --store $(STORE)

test: lint
	$(BIN)/pytest -m "not slow and not soak" -n $(TESTERS) --dist loadfile --no-loadscope-reorder

slow: .venv/test.stamp
	$(BIN)/pytest -m "slow and not soak" -n $(TESTERS) --dist loadfile --no-loadscope-reorder

# A checker of the CF conventions pins other versions than ours: it has an environment of its own.
conventions: .venv/test.stamp .venv/checker.stamp
	PATH="$(CURDIR)/.venv/checker/bin:$$PATH" RITZ_REQUIRE=compliance-checker $(BIN)/pytest tests/tasks/test_conventions.py

.venv/checker.stamp: | .venv/bin/pip
	$(PYTHON) -m venv .venv/checker
	.venv/checker/bin/pip install --quiet "compliance-checker>=6.1,<7"
	touch $@

soak: .venv/test.stamp
	$(BIN)/pytest -m soak -n 2 --dist loadfile --no-loadscope-reorder

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# After a change of structure, with a new LAYOUT_VERSION in storage/layout.py.
layouts: .venv/run.stamp
	for recipe in deployments/recipes/*.yaml; do \
		name=$$(basename $$recipe .yaml); $(BIN)/ritz layout $$name > deployments/layouts/$$name.txt || exit 1; \
	done

.venv/bin/pip:
	$(PYTHON) -m venv .venv

# The kernels of the solvers are compiled while Python compiles what was installed, whose own test suites nobody runs;
# then Prefect makes the database that every new home of its begins with.
.venv/run.stamp: pyproject.toml $(VERSIONS) $(CONSTRAINTS) | .venv/bin/pip
	$(BIN)/pip install --quiet --no-compile -c $(VERSIONS) -c $(CONSTRAINTS) -e .
	$(BIN)/python -m ritz.compute.solvers.precompile & kernels=$$!; \
		$(BIN)/python -m compileall -qq -x '[\\/]tests?[\\/]' .venv/lib; $(BIN)/python -m ritz.flows.server.database; \
		made=$$?; wait $$kernels && exit $$made
	touch $@

.venv/test.stamp: .venv/run.stamp
	$(BIN)/pip install --quiet -c $(VERSIONS) -c $(CONSTRAINTS) -e ".[test]"
	touch $@

# The newest releases that fit together, for every system and Python. torch and what it brings are for constraints.txt.
versions: .venv/bin/pip
	$(BIN)/pip install --quiet uv
	echo "torch ; python_version < '3'" > .venv/without-torch.txt
	{ sed -n '/^#/p' versions.txt; $(BIN)/uv pip compile pyproject.toml --extra test --universal --python-version 3.11 \
		--override .venv/without-torch.txt --upgrade --no-annotate --no-header --quiet; } > .venv/versions.txt
	mv .venv/versions.txt versions.txt

clean:
	rm -rf .venv *.egg-info

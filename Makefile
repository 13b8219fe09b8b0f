# Two commands do everything: `make run` and `make test`. Both create .venv first. `make soak` kills for 20 minutes.
PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
BIN := .venv/bin
STORE ?= ritz-store

# The tests start hundreds of processes, which shall not compile the same modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test soak lint layouts clean

run: .venv/run.stamp
	$(BIN)/ritz run darcy --store $(STORE)

test: lint
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

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

.venv/run.stamp: pyproject.toml $(CONSTRAINTS) | .venv/bin/pip
	$(BIN)/pip install --quiet -c $(CONSTRAINTS) -e .
	touch $@

.venv/test.stamp: .venv/run.stamp
	$(BIN)/pip install --quiet -c $(CONSTRAINTS) -e ".[test]"
	touch $@

clean:
	rm -rf .venv *.egg-info

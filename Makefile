# Every target sets up what it needs: a .venv with locked dependencies.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
URL ?=
DIALECT ?= contract
KEY ?=
OUT ?= aiconform-report
DIST ?= dist
# More than cores, since many tests wait: for windows of limits, deadlines and the end of child processes.
WORKERS ?= 3
# Tests of whole runs wait even more.
WAITERS ?= 4
CASES ?=
ROUNDS ?= 20
SECONDS ?= 60
EXAMPLES ?= 1000

.PHONY: help check serve test coverage test-slow test-nightly test-adoption lint selftest soak fuzz generated bench bench-load soak-load lock editions dist mutants interop clean up clients notebooks docs docs-examples

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found; set PYTHON=…" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

check: $(STAMP) ## validate the reference, or URL=… DIALECT=… KEY=…
ifeq ($(URL),)
	$(BIN)/python -m conformance.cli.demo --out $(OUT)
else
	$(BIN)/aiconform check $(URL) --dialect $(DIALECT) $(if $(KEY),--key $(KEY)) --out $(OUT)
endif

serve: $(STAMP) ## serve the reference on port 8000
	$(BIN)/aiconform serve --port 8000

up: $(STAMP) ## serve two replicas on PostgreSQL and Redis behind HAProxy on port 8000, until Ctrl-C
	$(BIN)/python -m deploy --port 8000

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not nightly and not installs"

coverage: $(STAMP) ## the same with branch coverage, which takes half as long again
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not nightly and not installs"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --sort=cover | tail -n 40

test-slow: $(STAMP) ## run the tests that wait for whole runs: hostile targets, CI templates, replicas
	$(BIN)/python -m pytest -n $(WAITERS) --dist worksteal -m "slow and not nightly"

test-nightly: $(STAMP) ## tests of crashes and of state again, on PostgreSQL and Redis
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m nightly

test-adoption: $(STAMP) ## what a newcomer does: clone, install the wheel, generate clients (needs the package registries)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m installs

selftest: $(STAMP) ## prove the checks: mutants killed, variants not flagged
	$(BIN)/aiconform selftest --json selftest.json --html selftest.html

soak: $(STAMP) ## whole runs again and again (20 minutes at most): no verdict may change; ROUNDS=20
	$(BIN)/python tests/soak/soak.py --rounds $(ROUNDS) --json soak.json

fuzz: $(STAMP) ## coverage-guided fuzzing of our own parsers, SECONDS=60 each
	$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris==3.0.0
	$(BIN)/python tests/fuzz/fuzz.py all --seconds $(SECONDS)

generated: $(STAMP) ## Schemathesis on every operation of the reference, EXAMPLES=1000 each (an hour)
	$(BIN)/python tests/generated/generate.py --examples $(EXAMPLES)

bench-load: $(STAMP) ## measure the load client beside others (7 minutes); BENCH_AIPERF=… adds AIPerf
	$(BIN)/python -m load.bench $(if $(REALTIME),--realtime) --out bench-load.md

soak-load: $(STAMP) ## ten minutes at 200 streams/s: memory flat, no false violation, equal counts
	$(BIN)/python -m load.bench.soak --out soak-load.md

node_modules: package.json package-lock.json
	npm ci --no-audit --no-fund --silent
	@touch $@

lint: $(STAMP) node_modules ## style, types, dependency rule, OpenAPI lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m spec.editions dist
	npm run --silent lint:spec

handbook/renderer/node_modules: handbook/renderer/package.json handbook/renderer/package-lock.json
	npm ci --prefix handbook/renderer --ignore-scripts --no-audit --no-fund --silent
	@touch $@

docs: $(STAMP) handbook/renderer/node_modules ## build the documentation site in dist/site; `make serve` then has it at /docs
	$(BIN)/python -m handbook dist/site

docs-examples: $(STAMP) ## record what the pages of requirements show on the wire (minutes), docs/examples.json
	$(BIN)/python -m handbook.examples docs/examples.json

bench: $(STAMP) ## what the contract costs: reference against bare Starlette, in one run
	$(BIN)/python tests/bench/contract_overhead.py

editions: $(STAMP) ## write the published editions of the contract to dist/
	$(BIN)/python -m spec.editions dist

dist: $(STAMP) ## (after `make docs`, with the site in them) wheel, sdist, editions of the contract and their checksums in dist/
	mkdir -p $(DIST) && rm -f $(DIST)/aiconform-* $(DIST)/asyncapi-* $(DIST)/openapi-* $(DIST)/SHA256SUMS
	$(BIN)/python -m hatchling build -d $(abspath $(DIST)) >/dev/null
	$(BIN)/python -m spec.editions $(DIST)
	cd $(DIST) && sha256sum aiconform-* asyncapi-* openapi-* >SHA256SUMS && ls -1

clients: editions ## generate and compile a Python and a TypeScript client from the 3.1 edition
	test -x clients/python/.venv/bin/python || $(PYTHON) -m venv clients/python/.venv
	clients/python/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r clients/python/requirements.txt
	cd clients/python && PATH="$(abspath $(BIN)):$$PATH" .venv/bin/openapi-python-client generate --path ../../dist/openapi-3.1.2.json \
	  --config generator.yaml --meta none --output-path contract_client --overwrite
	clients/python/.venv/bin/python -m compileall -q clients/python/contract_client
	cd clients/typescript && npm ci --no-audit --no-fund --silent && npm run --silent generate && npm run --silent compile

notebooks: $(STAMP) ## run the notebooks, each with a reference of its own, and keep their outputs
	$(BIN)/python notebooks/execute.py

mutants: $(STAMP) ## write the index of the mutants, spec/mutants.json, and docs/kill-matrix.md
	$(BIN)/python -m reference_impl.mutants --index spec/mutants.json
	$(BIN)/python tests/suite/kill_matrix.py

interop: $(STAMP) ## run the suite on real third-party servers, or CASES="…"; writes docs/results/
	$(BIN)/python tests/interop/run.py $(CASES)
	$(if $(CASES),,$(BIN)/python tests/interop/first_run.py)
	$(if $(CASES),,$(BIN)/python tests/interop/in_front.py)

lock: ## resolve the dependencies anew into requirements.lock
	test -x $(BIN)/pip-compile || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet pip-tools; }
	$(BIN)/pip-compile --quiet --no-strip-extras --generate-hashes --allow-unsafe --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host --no-header --extra server --extra load --extra notebooks --extra dev \
	  --output-file requirements.lock pyproject.toml

clean: ## remove what the targets made
	rm -rf $(VENV) node_modules handbook/renderer/node_modules dist .deploy aiconform-report load-report .interop .coverage* selftest.json selftest.html soak.json bench-load.md soak-load.md

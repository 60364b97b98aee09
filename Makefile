# The bare `make` lists what there is.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DATA ?= .data
ENGINE ?= docker
UV_COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --quiet

# What `make test` and `make coverage` run: folders, files or tests.
T ?= tests
# How many processes pytest-xdist shares tests out to; auto is three for each core, and 0 none. A single file needs none.
JOBS ?= $(if $(findstring .py,$(T)),0,auto)
# Without the variables of this make: tests start others. Bytecode is kept: tests start Python many times.
# The tests of one file share their services, in one process.
PYTEST = env -u MAKEFLAGS -u MAKELEVEL -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder

.PHONY: help run demo test quick test-long coverage clients load check format lock distributions docs audit benchmarks image sbom clean

help:  ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

# An environment of which the last installation was cut off is made anew.
$(VENV)/.embedded: requirements/embedded.txt pyproject.toml $(wildcard $(VENV)/.incomplete)
	@PYTHON="$(PYTHON)" VENV="$(VENV)" GOAL="$(firstword $(MAKECMDGOALS))" tools/environment.sh embedded

$(VENV)/.development: requirements/development.txt requirements/embedded.txt pyproject.toml $(wildcard $(VENV)/.incomplete)
	@PYTHON="$(PYTHON)" VENV="$(VENV)" GOAL="$(firstword $(MAKECMDGOALS))" tools/environment.sh development

run: $(VENV)/.embedded  ## start the service with its database and stand-in back-ends on 127.0.0.1:8086; Ctrl-C stops it
	@exec $(BIN)/image-builder serve --embedded --data "$(DATA)"

demo: $(VENV)/.embedded  ## queue example builds and show their progress, at the service of `make run` or at one of its own
	@exec $(BIN)/image-builder demo --data "$(DATA)"

test: $(VENV)/.development  ## run all tests and a sample of the long ones, with a real PostgreSQL; T=tests/unit/test_quota.py selects some
	@$(PYTEST) --ignore=tests/clients $(T)

# These compute and do not wait.
quick: JOBS = $(shell getconf _NPROCESSORS_ONLN)
quick: $(VENV)/.development  ## run the tests that start no service: domain, use cases, architecture
	@$(PYTEST) tests/architecture tests/usecases tests/unit

test-long: $(VENV)/.development  ## run all cases of the long tests, of which `make test` takes a sample; T= as above
	@TEST_LONG=1 $(PYTEST) --ignore=tests/clients $(T)

coverage: $(VENV)/.development  ## measure test coverage, also of the services that tests start; writes dist/coverage; T= as above
	@$(PYTEST) --cov --cov-report=term:skip-covered --cov-report=html:dist/coverage --ignore=tests/clients $(T)

clients: $(VENV)/.development  ## lint openapi.yaml, generate clients from it and test them; needs Node.js, Go and their package registries
	@env -u MAKEFLAGS -u MAKELEVEL $(BIN)/python -m pytest tests/clients

load: $(VENV)/.development  ## load test with Locust at BASE_URL or the embedded default: USERS=50 DURATION=60s WORKERS=1; fails if a service level is missed
	@$(BIN)/python -m tests.load

check: $(VENV)/.development  ## check format, lint, types and architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --no-cache .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pre-commit validate-config
	$(BIN)/image-builder distributions check

format: $(VENV)/.development  ## format the code and apply the fixes of the linter
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/.development  ## update requirements/*.txt from requirements/*.in
	$(UV_COMPILE) --upgrade -o requirements/development.txt requirements/development.in
	# What runs is what was tested: the smaller sets take the versions of the largest.
	for set in runtime embedded sbom; do $(UV_COMPILE) --upgrade -c requirements/development.txt -o requirements/$$set.txt requirements/$$set.in || exit 1; done

distributions: $(VENV)/.embedded  ## generate distributions/*/ from distributions/source.yaml and oscap.yaml
	$(BIN)/python tools/distributions.py

docs: $(VENV)/.embedded  ## generate docs/configuration.md from the declarations of the settings
	@mkdir -p docs
	$(BIN)/image-builder config --markdown > docs/configuration.md

audit: $(VENV)/.development  ## check the locked packages for consistency and known vulnerabilities (queries osv.dev)
	$(BIN)/python tools/audit.py

benchmarks: $(VENV)/.development  ## run the benchmarks (20 minutes at most), and print a table of all targets; fails if one is missed; needs wrk and an idle machine
	@$(BIN)/python -m benchmarks

image:  ## build the container image `image-builder`, with ENGINE (docker)
	$(ENGINE) build --build-arg BUILD_COMMIT="$$(git rev-parse HEAD)" --build-arg BUILD_TIME="$$(date -u +%FT%TZ)" --tag image-builder .

sbom: $(VENV)/.development  ## write a bill of materials of an installation to dist/sbom.cdx.json; the image has its own
	for set in runtime sbom; do \
		$(PYTHON) -m venv --clear --without-pip dist/$$set || exit 1; \
		$(BIN)/python -m pip --python dist/$$set/bin/python install --quiet --require-hashes -r requirements/$$set.txt || exit 1; \
	done
	$(BIN)/python -m pip --python dist/runtime/bin/python install --quiet --no-deps --no-build-isolation --editable .
	dist/sbom/bin/python tools/sbom.py --pyproject pyproject.toml dist/runtime/bin/python dist/sbom.cdx.json
	rm -rf dist/runtime dist/sbom

clean:  ## remove the virtual environment, the data folder and generated files
	rm -rf $(VENV) "$(DATA)" dist

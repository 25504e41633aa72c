# Everything a person does with a checkout. `make` alone lists it.
SHELL := /bin/bash
VENV ?= .venv
ARGS ?=
MINUTES ?= 30
SECONDS ?= 60
JOBS ?= 2
DATA ?= ../shared/data
BIN := $(VENV)/bin
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# Byte code is compiled afterwards, on all cores and without the libraries' own tests: 30 s less than pip needs.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --quiet --no-input --no-compile --prefer-binary -c constraints.txt
COMPILE := $(BIN)/python -m compileall -q -q -j 0 -x '/tests?/' $(VENV)/lib || true
# Tests that share a running system stay in one process (tests/scheduling.py). Not reordered, the long ones come first.
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --no-loadscope-reorder

# Where a container's environment says that no byte code is to be written, every process of the tests and of their
# stacks would compile the sources anew: 1.5 s of processor time in each pytest, 0.1 s in each of a hundred others.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help venv install install-test run test test-unit faults fuzz soak check audit format images terraform bench quality demo status docs docs-serve references clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(BIN)/python ## make the virtual environment with the newest of Python 3.13, 3.12, 3.11

$(BIN)/python:
	@deploy/setup/venv.sh $(VENV)

install: $(VENV)/.installed-run ## install what `make run` needs, from pinned versions

$(VENV)/.installed-run: pyproject.toml constraints.txt | $(BIN)/python
	@echo "tollgate: installing into $(VENV) (a minute or two, once)"
	@$(PIP_INSTALL) -e '.[workers,local]'
	@$(COMPILE)
	@touch $@

install-test: $(VENV)/.installed-test ## install what the tests, checks and benchmarks need as well

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "tollgate: installing the test tools into $(VENV)"
	@$(PIP_INSTALL) -e '.[workers,local,postgres,tracing,test,bench,docs]'
	@$(COMPILE)
	@touch $@ $(VENV)/.installed-run

run: $(VENV)/.installed-run ## start everything on this machine, in the foreground (ARGS="--port 8001")
	@exec $(BIN)/tollgate up --with-parent $(ARGS)

status: $(VENV)/.installed-run ## say what is up
	@$(BIN)/tollgate status $(ARGS)

test: $(VENV)/.installed-test ## run every test: unit, integration, faults, the running stack, a real browser (JOBS=2)
	@deploy/setup/system_packages.sh
	$(PYTEST) $(ARGS)

test-unit: $(VENV)/.installed-test ## run the tests that need no server (seconds)
	$(PYTEST) tests/unit tests/architecture $(ARGS)

faults: $(VENV)/.installed-test ## break everything, 10,000 payments a scenario; writes docs/reliability.md (ARGS="-k broker")
	$(BIN)/python -m pytest tests/faults --faults=full $(ARGS)

fuzz: $(VENV)/.installed-test ## look for inputs that break the parsers, guided by coverage (SECONDS=60, ARGS="schema policy"; Linux)
	@$(BIN)/python -c "import atheris" 2>/dev/null || $(PIP_INSTALL) -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz.grow --seconds $(SECONDS) $(ARGS)

soak: $(VENV)/.installed-test ## load for half an hour: memory and latency stay flat (MINUTES=30)
	$(BIN)/python -m pytest tests/faults/test_soak.py --faults=full --soak-minutes=$(MINUTES) $(ARGS)

check: $(VENV)/.installed-test ## ruff with its security rules, mypy (strict), import rules, secret scan
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.secret_scan

audit: $(BIN)/python ## look the pinned dependencies up among known vulnerabilities (needs the network: pypi.org)
	@test -x .venv-audit/bin/pip-audit || ($(BIN)/python -m venv .venv-audit && .venv-audit/bin/python -m pip install -q pip-audit==2.10.1)
	.venv-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

format: $(VENV)/.installed-test ## let ruff format and sort
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

images: ## build the images tollgate-web and tollgate-worker (needs Docker)
	docker build -f deploy/docker/Dockerfile --target web -t tollgate-web:$(VERSION) $(ARGS) .
	docker build -f deploy/docker/Dockerfile --target worker -t tollgate-worker:$(VERSION) $(ARGS) .

terraform: ## format and validate deploy/terraform (needs Terraform, and fetches its providers)
	terraform -chdir=deploy/terraform fmt -check -recursive
	terraform -chdir=deploy/terraform init -backend=false -input=false
	terraform -chdir=deploy/terraform validate

bench: $(VENV)/.installed-test ## measure this machine: Tollgate beside other ways to serve (writes a table)
	@$(BIN)/tollgate bench $(ARGS)
	@if [ -z "$(ARGS)" ]; then $(BIN)/tollgate bench --bulk; fi

quality: $(VENV)/.installed-test ## measure models on public transactions: writes docs/model-quality.md (DATA=DIR)
	@$(BIN)/tollgate quality-report --data $(DATA) $(ARGS)

demo: $(VENV)/.installed-run ## show it all alive: start Tollgate where none is up, stream traffic, fraud, files and late labels
	@exec $(BIN)/tollgate demo $(ARGS)

docs: $(VENV)/.installed-test ## build the documentation as a site, without one warning, into site/
	$(BIN)/python -m mkdocs build --strict

docs-serve: $(VENV)/.installed-test ## show the documentation at http://127.0.0.1:8001, built anew at every change
	$(BIN)/python -m mkdocs serve --dev-addr 127.0.0.1:8001

references: $(VENV)/.installed-test ## write again every page and file that is generated from the code
	$(BIN)/python -m deploy.docs_site.references

clean: ## remove the virtual environments and caches; data stays (rm -rf .tollgate removes it)
	rm -rf $(VENV) .venv-exporter .venv-audit build dist site *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .fuzz
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# Needs Python 3.11, 3.12 or 3.13 and the usual build tools. Each target creates the environments that it needs.
#   make demo     turn unlabelled texts into a served classifier           make test      unit, model, integration tests
#   make up       start everything on this machine and keep it running     make test-ui   annotate in a real browser
#   make lint     ruff, mypy, import contracts                             make bench     the measurements in bench/
#   make clean    remove the environments and .tornio/ (data included)       make test-k8s  on the cluster of KUBECONFIG
#   make release VERSION=0.2.0  commit, tag, wheel and image of a release    make test-light  client and embedded parts alone
#   make docs     the documentation as a web site, in build/docs           make notebooks  run those of examples/, as HTML
.DEFAULT_GOAL := help
.PHONY: help demo up test test-unit test-model test-integration test-ui test-k8s test-light release sbom lint format docs bench notebooks clean env env-argilla env-clients chromium

VENV := .venv
ARGILLA := .venv-argilla
CLIENTS := .venv-clients
MLSERVER := .venv-mlserver
BIN := $(VENV)/bin
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
# The first of these that runs and has a version that Tornio is made for.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
    $$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
PIP := -m pip --quiet --disable-pip-version-check --no-input
export HF_HUB_OFFLINE := 1
BENCHES ?= few_shot_sets few_shot_trec retrain_cost hot_swap serving_speed noisy_neighbour whole_loop controller_kills packed_speed score_job predict_job label_errors train_step adapt_step fine_tune_trec adapted_base nli_teacher no_labels no_label_service gate_errors trial_errors multi_label calibration predict_file few_label_methods many_tasks drift idle
# pip reads 0 as "do not warn".
export PIP_NO_WARN_SCRIPT_LOCATION := 0

help:
	@sed -n '2,8s/^#   //p' Makefile

demo: env env-argilla
	$(BIN)/python -m examples.support.demo $(ARGS)

up: env env-argilla
	$(BIN)/tornio up $(ARGS)

test: test-unit test-model test-integration

test-unit: env
	$(BIN)/pytest -m unit -n auto tests/unit tests/contract $(ARGS)

test-model: env
	$(BIN)/pytest -m model -n auto tests/unit tests/contract $(ARGS)

test-integration: env env-argilla
	$(BIN)/pytest -m integration tests/contract tests/integration $(ARGS)

test-ui: env env-argilla chromium
	$(BIN)/pytest -m ui tests/ui $(ARGS)

test-k8s: env
	$(BIN)/pytest -m k8s -rs $(ARGS)

# The client and the embedded parts on another interpreter, without torch and Ray: make test-light PYTHON=python3.13
test-light:
	@scripts/test-light "$(PYTHON)" $(ARGS)

release: env
	@$(BIN)/python scripts/release $(VERSION) $(ARGS)

# The bill of materials of the image, as CycloneDX.
sbom: env
	@$(BIN)/python -m docs.sbom dist/tornio-$$($(BIN)/python -c 'import tornio; print(tornio.__version__)').cdx.json

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Strict: a broken link or anchor is an error. Nothing is fetched.
docs: env
	$(BIN)/sphinx-build -q -W --keep-going -c docs -d build/doctrees . build/docs $(ARGS)

bench: env env-argilla
	@set -e; for name in $(BENCHES); do echo "== $$name"; $(BIN)/python -m bench.$$name; done

# Runs each notebook that needs no server, or those of NOTEBOOKS. The parameters are those of the notebook's own cell.
NOTEBOOKS ?= $(filter-out few-shot-loop,$(basename $(notdir $(wildcard examples/notebooks/*.ipynb))))
notebooks: env
	rm -rf build/notebooks build/support
	mkdir -p build/support
	cp -r examples/notebooks build/notebooks
	cp -r examples/support/data build/support/data
	cd build/notebooks && $(abspath $(BIN))/jupyter-nbconvert --to html --execute --ExecutePreprocessor.timeout=-1 \
	    --CoalesceStreamsPreprocessor.enabled=True --ExecutePreprocessor.startup_timeout=300 \
	    $(addsuffix .ipynb,$(NOTEBOOKS))

clean:
	rm -rf $(VENV) $(ARGILLA) $(CLIENTS) $(MLSERVER) .tornio .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# The environments. A stamp file is older than its inputs only if these have changed.
env: $(VENV)/.made
	@:
env-argilla: $(ARGILLA)/.made
	@:
# Official clients of other servers, for the tests that ask with them.
env-clients: $(CLIENTS)/.made $(MLSERVER)/.made
	@:

define new_venv # path
	@test -n "$(PYTHON)" && "$(PYTHON)" -c '$(SUPPORTED)' || \
	    { echo "Python 3.11, 3.12 or 3.13 was not found. Install one, or give its path: make PYTHON=/path/to/python"; exit 1; }
	@test -x $(1)/bin/python || "$(PYTHON)" -m venv $(1)
endef

$(VENV)/.made: pyproject.toml constraints/cluster.txt scripts/install-torch
	$(call new_venv,$(VENV))
	@echo "Installing Tornio with Ray, torch and its tools into $(VENV) (once; 2-5 minutes, 3 GB on disk)"
	@scripts/install-torch $(BIN)/python constraints/cluster.txt
	@$(BIN)/python $(PIP) install -c constraints/cluster.txt -e '.[cluster,embedded,docs,dev]'
	@touch $@

$(ARGILLA)/.made: constraints/argilla.txt
	$(call new_venv,$(ARGILLA))
	@echo "Installing Argilla's server into $(ARGILLA), a separate environment (once; 1-2 minutes, 0.6 GB on disk)"
	@$(ARGILLA)/bin/python $(PIP) install -c constraints/argilla.txt argilla-server
	@touch $@

$(CLIENTS)/.made: constraints/clients.txt
	$(call new_venv,$(CLIENTS))
	@echo "Installing the clients of KServe and Triton into $(CLIENTS) (once; 1 minute, 0.5 GB on disk)"
	@$(CLIENTS)/bin/python $(PIP) install -c constraints/clients.txt kserve 'tritonclient[http]'
	@touch $@

$(MLSERVER)/.made: constraints/mlserver.txt
	$(call new_venv,$(MLSERVER))
	@echo "Installing MLServer into $(MLSERVER) (once; 1 minute, 0.4 GB on disk)"
	@$(MLSERVER)/bin/python $(PIP) install -c constraints/mlserver.txt mlserver
	@touch $@

chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	    test "$$(id -u)" = 0 && command -v apt-get >/dev/null || \
	        { echo "The browser tests need Chromium. Install the package 'chromium'."; exit 1; }; \
	    echo "Installing Chromium (once; 1-2 minutes)"; \
	    apt-get update -qq >/dev/null && apt-get install -y -qq chromium >/dev/null 2>&1; }

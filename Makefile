# Everything that is typed often. `make` alone lists it.
#
# The stages call plain `python`, so the virtual environment comes first on PATH; it need not be activated.

PYTHON ?= python3
VENV := .venv
# A copy of the lock that was installed last: newer than requirements.lock means nothing to do.
INSTALLED := $(VENV)/requirements.lock
RUN := $(VENV)/bin/python
# Nothing is installed but files whose hashes are in the lock, and none of them runs code while it is, but for one that
# comes as source alone.
SOURCES := antlr4-python3-runtime
BINARIES := --only-binary :all: --no-binary $(SOURCES)
INSTALL := $(RUN) -m pip install --disable-pip-version-check --require-hashes --no-deps $(BINARIES)
# Advisories that `make audit` passes over; the README gives the reason for each.
EXCEPTIONS := CVE-2025-69872
# What tests/browser.py looks for.
BROWSERS := chromium chromium-browser google-chrome google-chrome-stable

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup repro retrain test check compare bench browser lock audit

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(INSTALLED) ## create .venv with the pinned requirements (the others do so too)

repro: $(INSTALLED) ## bring the study up to date: fetch, train what changed, rewrite the report
	@$(RUN) -m tools.repro

retrain: $(INSTALLED) ## run every stage anew, from the data sets to the report
	@$(RUN) -m tools.repro --force

test: $(INSTALLED) ## run the tests
	@$(RUN) -m pytest

check: $(INSTALLED) ## lint; hold dvc.yaml, dvc.lock, params.yaml and the committed results against each other
	@status=0; \
	$(RUN) -m ruff check --quiet || status=1; \
	$(RUN) -m ruff format --quiet --check || { echo "error: run $(RUN) -m ruff format"; status=1; }; \
	$(RUN) -m tools.check || status=1; \
	exit $$status

compare: $(INSTALLED) ## what changed since BASE (HEAD): parameters, metrics, verdicts; pictures go to comparison/
	@rm -rf comparison
	@$(RUN) -m tools.compare $(BASE) --pictures comparison

bench: $(INSTALLED) ## measure the networks, the pipeline and the study against others and against the machine
	@$(RUN) -m tools.bench

lock: $(INSTALLED) ## pin what requirements.txt needs in requirements.lock (all of it anew: UPGRADE=--upgrade)
	@$(RUN) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(BINARIES) $(UPGRADE) \
	    --custom-compile-command "make lock" --output-file requirements.lock requirements.txt

# --strict: without it, a package of which nothing can be learnt passes for one without faults.
audit: $(INSTALLED) ## ask the package index for known vulnerabilities of what requirements.lock pins
	@$(RUN) -m pip_audit --strict --disable-pip --progress-spinner off --requirement requirements.lock \
	    $(EXCEPTIONS:%=--ignore-vuln %)

browser: ## install Chromium for the test of report.html (Debian, Ubuntu; needs root)
	@for name in $(BROWSERS); do if command -v $$name > /dev/null; then exit 0; fi; done; \
	{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } \
	    > /dev/null 2>&1 || \
	    { echo "error: Chromium was not installed: as root, try apt-get install chromium (Debian, Ubuntu)"; exit 1; }

# `unfinished` outlives an install that was broken off; the next one then starts from an empty folder.
$(INSTALLED): requirements.lock
	@command -v $(PYTHON) > /dev/null || { echo "error: $(PYTHON) is not installed"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "error: Python 3.11 or newer is needed, $(PYTHON) is older: name another one with make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
	    { echo "error: $(PYTHON) makes no virtual environments: install the package python3-venv (Debian, Ubuntu)"; exit 1; }
	@if [ -e $(VENV)/unfinished ]; then rm -rf $(VENV); fi
	@mkdir -p $(VENV) && touch $(VENV)/unfinished
	$(PYTHON) -m venv $(VENV)
	@# First what installs the others: pip would fetch another setuptools to build sources with, of whatever hash.
	@awk '/^[^ ]/ { wanted = /^(pip|setuptools)==/ } wanted' requirements.lock > $(VENV)/installer.txt
	$(INSTALL) --requirement $(VENV)/installer.txt
	$(INSTALL) --no-build-isolation --requirement requirements.lock
	@# DVC loads pickles from a folder in /var/tmp that it makes for everybody to write to: it gets one of its own.
	@mkdir -p $(VENV)/dvc/repo && chmod 700 $(VENV)/dvc $(VENV)/dvc/repo
	@$(RUN) -m dvc config --local core.site_cache_dir "$(CURDIR)/$(VENV)/dvc"
	@cp requirements.lock $@ && rm $(VENV)/unfinished

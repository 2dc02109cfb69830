# Everything that is typed often. `make` alone lists it.
#
# The stages call plain `python`, so the virtual environment comes first on PATH; it need not be activated.

PYTHON ?= python3
VENV := .venv
# A copy of the requirements that were installed last: newer than requirements.txt means nothing to do.
INSTALLED := $(VENV)/requirements.txt
RUN := $(VENV)/bin/python
# What tests/browser.py looks for.
BROWSERS := chromium chromium-browser google-chrome google-chrome-stable

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup repro retrain test check compare bench browser

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

browser: ## install Chromium for the test of report.html (Debian, Ubuntu; needs root)
	@for name in $(BROWSERS); do if command -v $$name > /dev/null; then exit 0; fi; done; \
	{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } \
	    > /dev/null 2>&1 || \
	    { echo "error: Chromium was not installed: as root, try apt-get install chromium (Debian, Ubuntu)"; exit 1; }

# `unfinished` outlives an install that was broken off; the next one then starts from an empty folder.
$(INSTALLED): requirements.txt
	@command -v $(PYTHON) > /dev/null || { echo "error: $(PYTHON) is not installed"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "error: Python 3.11 or newer is needed, $(PYTHON) is older: name another one with make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
	    { echo "error: $(PYTHON) makes no virtual environments: install the package python3-venv (Debian, Ubuntu)"; exit 1; }
	@if [ -e $(VENV)/unfinished ]; then rm -rf $(VENV); fi
	@mkdir -p $(VENV) && touch $(VENV)/unfinished
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --disable-pip-version-check --requirement requirements.txt
	@cp requirements.txt $@ && rm $(VENV)/unfinished

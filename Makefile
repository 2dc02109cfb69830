# Common commands; `make` lists them.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# A copy of the lock file that was installed last: if it is newer than requirements.lock, nothing is to be installed.
INSTALLED := $(VENV)/requirements.lock
# Wheels only, except one package that has none; the locked setuptools builds it, hence the two calls of INSTALL.
BINARIES := --only-binary :all: --no-binary antlr4-python3-runtime
INSTALL := $(RUN) -m pip install --disable-pip-version-check --require-hashes --no-deps $(BINARIES) --requirement

# The stages call plain `python`; .venv need not be activated.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# DVC asks for the user's name, and a container's user may have none.
export LOGNAME ?= $(shell id -un 2> /dev/null)

.PHONY: help setup repro quick retrain test test-slow check bench browser lock audit

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## create .venv from requirements.lock (the other commands do this first)

repro: $(INSTALLED) ## fetch the data, train what is missing or changed, write the report
	@$(RUN) -m tools.repro

quick: $(INSTALLED) ## the whole study in four minutes, on a tenth of the images, in quick/
	@$(RUN) -m tools.quick

retrain: $(INSTALLED) ## train everything again
	rm -rf data/runs data/models/* reports/tune reports/ablations reports/repeats
	@$(RUN) -m tools.repro

test: $(INSTALLED) ## run the tests, except the slow ones
	$(RUN) -m pytest -n auto --dist loadfile

test-slow: $(INSTALLED) ## run the slow tests
	$(RUN) -m pytest tests/slow

check: $(INSTALLED) ## lint; compare code, dvc.yaml, dvc.lock, params.yaml and the committed results
	$(RUN) -m ruff check --quiet
	$(RUN) -m ruff format --quiet --check
	$(RUN) -m tools.check

bench: $(INSTALLED) ## measure speed and memory (three minutes on two idle cores)
	@$(RUN) -m tools.bench

browser: ## install Chromium for the test of report.html (Debian, Ubuntu; needs root)
	command -v chromium || command -v google-chrome || \
	    { apt-get update && apt-get install --yes --no-install-recommends chromium; }

lock: $(INSTALLED) ## pin what requirements.txt needs in requirements.lock (newest releases: UPGRADE=--upgrade)
	$(RUN) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(BINARIES) $(UPGRADE) \
	    --custom-compile-command "make lock" --output-file requirements.lock requirements.txt

# CVE-2025-69872: diskcache, which DVC uses, reads its own cache as pickles, and no release fixes it.
audit: $(INSTALLED) ## check the packages in requirements.lock for known vulnerabilities
	$(RUN) -m uv tool run pip-audit@2.10.1 --strict --disable-pip --requirement requirements.lock \
	    --ignore-vuln CVE-2025-69872

$(INSTALLED): requirements.lock
	@reason=$$(git log -1 2>&1) || { echo "error: clone the project with git, which says here:" $$reason; exit 1; }
	@$(PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "error: Python 3.11 or newer with venv is needed: try make PYTHON=..., or install python3-venv"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	awk '/^[^ ]/ { wanted = /^(pip|setuptools)==/ } wanted' requirements.lock > $(VENV)/installer.lock
	$(INSTALL) $(VENV)/installer.lock
	$(INSTALL) requirements.lock --no-build-isolation
	@# By default, DVC's cache of pickles is in /var/tmp, where every user may write.
	mkdir -m 700 $(VENV)/dvc
	$(RUN) -m dvc config --local core.site_cache_dir "$(CURDIR)/$(VENV)/dvc"
	cp requirements.lock $@

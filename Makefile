# One door: `make` lists the verbs. CI runs `make ci` and nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STATE  ?= .state
ROUNDS ?= 1000
FUZZ_EXAMPLES ?= 5000
# Where the quick lane writes: it asks thousands of times for stable storage, and memory is that at once, if there is room.
QUICK_FOLDER  ?= $(shell test "$$(df -kP /dev/shm 2>/dev/null | awk 'END {print $$4}')" -gt 8000000 2>/dev/null && echo /dev/shm || echo /tmp)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-tools serve check test test-full test-crash fuzz bench docs screenshots ci format

help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

$(VENV)/run.stamp: constraints/run.txt pyproject.toml
	@echo "setting up the virtual environment (pinned, with hashes) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "no venv: install it first, on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp constraints/dev.txt
	@echo "adding what checks and tests need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints/dev.txt
	@touch $@

setup: $(VENV)/run.stamp  ## make the virtual environment that serving needs
setup-dev: $(VENV)/dev.stamp  ## ... and what checks and tests need
setup-tools: setup-dev  ## install the foreign clients and servers that tests and benchmarks drive (Debian, npm; as root)
	@$(BIN)/python tools/setup_tools.py

serve: setup  ## start every service on localhost with two accounts; FRESH=1 starts anew
	@$(BIN)/mailstead serve --demo --state $(STATE) $(if $(FRESH),--fresh)

check: setup-dev  ## format, lint, types, import contracts, spelling, generated files, scripts, image, workflows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell src tests docs bench tools changes README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md self-hosting/README.md .github
	$(BIN)/python tools/generate.py --check
	$(BIN)/shellcheck .ci/run self-hosting/*.sh tools/*.sh src/mailstead/systemd/*.sh
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml compose.scaled.yaml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet .github

format: setup-dev  ## format and fix what can be fixed by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: setup-dev  ## the quick lane: units, contracts, dialogues in memory, attacks, architecture
	PYTEST_DEBUG_TEMPROOT=$(QUICK_FOLDER) $(BIN)/pytest -n 2 --dist worksteal -m "not full and not crash"

test-full: setup-tools  ## real processes, real clients that others wrote, dialogues over TCP and TLS
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "full and not browser"
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m browser

test-crash: setup-dev  ## SIGKILL at random moments, and lost unsynced writes; ROUNDS=1000
	CRASH_ROUNDS=$(ROUNDS) $(BIN)/pytest -n 2 --dist load --maxschedchunk 1 -m crash --timeout 5000 -raP

fuzz: setup-dev  ## long property runs; FUZZ_EXAMPLES=5000
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/pytest -n 2 --timeout 3000

bench: setup-tools  ## side by side with Postfix, Dovecot, Roundcube and others; raw results in bench/results
	@$(BIN)/python tools/setup_tools.py --bench
	$(BIN)/python -m bench

docs: setup-dev  ## write the generated pages: settings, example file, conformance
	$(BIN)/python tools/generate.py

screenshots: setup-tools  ## make the pictures of docs/pictures anew
	$(BIN)/python tools/screenshots.py

ci: check test  ## everything that must be green, within 40 minutes
	$(MAKE) test-full
	$(MAKE) test-crash ROUNDS=100
	$(MAKE) fuzz FUZZ_EXAMPLES=1000

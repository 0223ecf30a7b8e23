# make demo    the main job: a virtual machine with a Docker engine, from nothing, and a first image runs on it
# make test    every test, on real hosts and virtual machines too (root or sudo; about an hour where machines are emulated)
# make check   the fast inner loop: style, types, layers, and the tests that need no host
# make bench   the speed ratios of the README
#
# Each target installs what it needs (system packages by apt, Python packages in .venv) and can be repeated.

PYTHON ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
SUDO    := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E)
LAB     := $(SUDO) env PYTHONPATH=tests $(BIN)/python -m lab
PYTEST  := $(BIN)/python -m pytest
# libvirt-python has no wheels: it is built against the libvirt that is here.
HAS_HEADERS := import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))
FAST    := -m 'not lab' tests/unit tests/contract tests/golden tests/transcripts
VIRTUAL := $(wildcard tests/lab/test_kvm*.py) $(shell grep -l "pytest.mark.lab" tests/contract/test_*.py)
# The longest first: begun last, one of them would run alone.
LONG    := $(addprefix tests/lab/test_,swarm_managers.py apply_managers.py apply_killed.py swarm_upgrade.py)
HOSTS   := $(LONG) $(filter-out $(VIRTUAL) $(LONG), $(wildcard tests/lab/test_*.py)) tests/e2e
export CI

.PHONY: setup hosts check style fast test slow bench demo demo-down clean programs

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml Makefile
	@echo "== setting up $(VENV)"
	@$(PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3 python3-venv; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: Python 3.11 or later is needed, $(PYTHON) is older (give PYTHON=…)" >&2; exit 1; }
	@{ pkg-config --exists libvirt && command -v gcc && $(PYTHON) -c '$(HAS_HEADERS)'; } >/dev/null 2>&1 \
	  || { $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends libvirt-dev pkg-config gcc libc6-dev python3-dev; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q -e '.[test]'
	@touch $@

hosts: setup
	@echo "== installing what the test hosts need"
	@$(LAB) prepare

programs: setup
	@echo "== installing what the tests need besides hosts"
	@$(LAB) prepare --tests

style: setup
	@echo "== style, types, layers"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fast: setup
	@echo "== fast tests"
	$(PYTEST) -n 2 -q $(FAST)

check: style fast

test: programs style
	@echo "== all tests; hosts boot as systemd containers, machines under libvirt, which needs root"
	$(SUDO) $(PYTEST) -n 2 -q $(FAST)
	@# Labs side by side: most of a host's life is waiting. What is emulated, or timed, has the machine to itself.
	$(SUDO) $(PYTEST) -q -n 3 --dist loadfile --no-loadscope-reorder --durations=15 $(HOSTS)
	$(SUDO) $(PYTEST) -q tests/bench/test_speed.py tests/bench/test_fleet_speed.py
	@$(LAB) libvirt up
	@# The speeds of emulated machines take a quarter of an hour on a slow computer: `make bench` has them.
	$(SUDO) $(PYTEST) -q --durations=15 $(VIRTUAL); code=$$?; $(LAB) libvirt down; exit $$code

bench: hosts
	@$(LAB) libvirt up
	$(SUDO) $(PYTEST) -q -s tests/bench; code=$$?; $(LAB) libvirt down; exit $$code

demo: hosts
	@tests/e2e/demo.sh

demo-down: setup
	@tests/e2e/demo.sh down

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

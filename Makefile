# make demo    the main job: a virtual machine with a Docker engine, from nothing, and a first image runs on it
# make test    what every change has to pass, on real hosts and virtual machines too (root or sudo; 25 minutes where
#              machines are emulated), and a slice of the rest that the commit chooses
# make soak    every test there is; make soak AREA all of one area, such as swarm, apply, aws, kvm (hours, minutes)
# make check   the fast inner loop: style, types, layers, and the tests that need no host
# make near    of these tests those that a change can reach, by the imports; BASE=REVISION says since when
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
WHEELS  := import tomllib; e = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; print(*(d for d in e["aws"] + e["test"] if not d.startswith("pymachine-docker")), sep="\n")
FAST    := -m 'not lab' tests/unit tests/contract tests/golden tests/transcripts
PROOF   := env PYTHONPATH=tests $(PYTHON) -m proof
# Without bytecode each process of the tests would compile all modules of theirs for itself.
unexport PYTHONDONTWRITEBYTECODE
export CI PYTHON
export STARTED := $(shell date +%s)

# `make soak swarm` is `make soak AREA=swarm`: the words after it name areas, not targets.
ifeq (soak,$(firstword $(MAKECMDGOALS)))
AREA ?= $(wordlist 2,99,$(MAKECMDGOALS))
ifneq (,$(AREA))
.PHONY: $(AREA)
$(AREA): soak ; @:
endif
endif

# What runs before anything is installed is written for the Python that is there.
.PHONY: age python wheels setup hosts check style fast near test soak soak-again bench demo demo-down clean programs

setup: $(VENV)/.ready

python:
	@$(PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3 python3-venv; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: Python 3.11 or later is needed, $(PYTHON) is older (give PYTHON=…)" >&2; exit 1; }

$(VENV)/.ready: pyproject.toml Makefile | python
	@echo "== setting up $(VENV)"
	@{ pkg-config --exists libvirt && command -v gcc && $(PYTHON) -c '$(HAS_HEADERS)'; } >/dev/null 2>&1 \
	  || { $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends libvirt-dev pkg-config gcc libc6-dev python3-dev; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q -e '.[test]'
	@touch $@

# All that is a wheel: nothing is compiled, so that it can begin before there is a compiler.
wheels: python
	@[ -e $(VENV)/.ready ] || { \
	  $(PYTHON) -m venv $(VENV) && $(PYTHON) -c '$(WHEELS)' > $(VENV)/wheels.txt \
	  && $(BIN)/pip install -q -e . -r $(VENV)/wheels.txt; }

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
	$(PYTEST) -n 4 -q $(FAST)

# Style beside the tests, half of whose life is waiting; what it says comes after what they say, and either can fail.
check: setup
	@said=$$(mktemp); $(MAKE) --no-print-directory style >$$said 2>&1 & pid=$$!; \
	trap '[ -z "$$pid" ] || kill $$pid; rm -f $$said' EXIT; trap 'exit 130' INT TERM; \
	$(MAKE) --no-print-directory fast; fast=$$?; \
	wait $$pid; style=$$?; pid=; cat $$said; [ $$style = 0 ] || echo "error: style, types or layers: see above" >&2; \
	[ $$fast = 0 ] || echo "error: tests failed: see above" >&2; exit $$((fast ? fast : style))

near: setup
	@env PYTHONPATH=tests $(BIN)/python -m near

# How old the last whole soak is: the first line of a run, and its last.
age:
	@$(PROOF) age 2>/dev/null || { echo "last whole soak:"; grep -s '^[a-z]' tests/soak.toml || echo never; }

# What each stage runs, and what runs beside it, is in tests/proof/stages.py.
test: age python
	@$(PROOF) test

soak: age python
	@$(PROOF) soak $(AREA)

# What failed in the last whole soak and has not passed since; tests/soak.toml keeps what passes.
soak-again: age python
	@$(PROOF) again

bench: hosts
	@$(LAB) libvirt up
	$(SUDO) $(PYTEST) -q -s --tier all tests/bench; code=$$?; $(LAB) libvirt down; exit $$code

demo: python
	@tests/e2e/demo.sh

demo-down: python
	@tests/e2e/demo.sh down

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

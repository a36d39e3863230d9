# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# Owns the commands of the project: `make` lists them. Each leaves things ready for the next.

# the system's: it has the headers, and sudo may trust it
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
VENV := .venv
RUN := $(VENV)/bin/python
V ?= 0
ifeq ($(V),0)
.SILENT:
QUIET := -q
endif

CODE := $(filter-out csrc/skel/%,$(wildcard bpf/*.[ch] csrc/*.[ch] csrc/*/*.[ch] csrc/loader/elf/*.[ch]))
SOURCES := $(CODE) $(wildcard csrc/*.py vendor/libbpf/PIN vendor/libbpf/fetch.py)
# one extension, two ways to build it: see CONTRIBUTING.md
COMPILED := $(VENV)/.compiled$(if $(filter 1,$(EBTOP_PLAIN_LOADER)),-plain)
PACKAGING := setup.py pyproject.toml ebtop/launcher.sh
TOOLS := clang llvm-strip bpftool cc make
PACKAGES := clang llvm bpftool gcc libc6-dev make python3-venv python3-dev
DNF_PACKAGES := clang llvm bpftool gcc make python3-devel
CHECK_PYTHON := import sys, venv, ensurepip, sysconfig, os; \
	sys.exit(sys.version_info < (3, 9) or \
	not os.path.exists(sysconfig.get_path("include") + "/Python.h"))
TEST_PACKAGES := strace fio sudo iproute2 iperf3
BENCH_PACKAGES := libbpf-tools htop procps atop linux-perf strace fio stress-ng iperf3
LINT := ebtop tests csrc setup.py vendor/libbpf/fetch.py

.DEFAULT_GOAL := help
.PHONY: help build bpf run test test-live test-vm soak screens bench lint fmt abi sdist clean tools stress

help: ## this list
	awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

tools: ## install what building needs (as root), or say what is missing
	missing=; PATH="$$PATH:/usr/sbin:/sbin"; \
	for tool in $(TOOLS); do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	for header in elf.h asm/types.h; do \
		echo "#include <$$header>" | cc -E -x c - >/dev/null 2>&1 || missing="$$missing $$header"; \
	done; \
	$(PYTHON) -c '$(CHECK_PYTHON)' 2>/dev/null || missing="$$missing python>=3.9-with-venv-and-headers"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing, for want of:$$missing"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
			apt-get -qq -y --no-install-recommends install $(PACKAGES) </dev/null >/dev/null; \
	elif [ "$$(id -u)" = 0 ] && command -v dnf >/dev/null; then \
		echo "installing, for want of:$$missing"; \
		dnf -q -y install $(DNF_PACKAGES) </dev/null >/dev/null; \
	else \
		echo "missing:$$missing"; \
		echo "Debian, Ubuntu:  apt-get install $(PACKAGES)"; \
		echo "Fedora, RHEL:    dnf install $(DNF_PACKAGES)"; \
		exit 1; \
	fi

$(VENV)/bin/python:
	$(MAKE) --no-print-directory tools
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python $(PACKAGING)
	$(RUN) -m pip $(QUIET) install 'setuptools>=77' 'cffi>=1.17'
	EBTOP_FOR_TESTS=1 $(RUN) -m pip $(QUIET) install --no-build-isolation -e .
	touch $@ $(COMPILED)

$(COMPILED): $(VENV)/.installed $(SOURCES)
	$(MAKE) --no-print-directory tools
	log=$(VENV)/compile.log; \
	EBTOP_FOR_TESTS=1 $(RUN) setup.py $(QUIET) build_clib build_ext --inplace >$$log 2>&1 || { cat $$log; exit 1; }; \
	grep -A3 -E '(bpf|csrc)/[a-z_./]+:[0-9]+:.*warning:' $$log || true
	rm -f $(VENV)/.compiled*
	touch $@

build: $(COMPILED) ## a working .venv/bin/ebtop

bpf: $(VENV)/.installed ## only the BPF programs, as csrc/skel/*.skel.h
	$(RUN) -c 'import sys; sys.path.insert(0, "csrc"); import build_ffi'

run: build ## the dashboard, through sudo when not root
	if [ "$$(id -u)" = 0 ]; then $(VENV)/bin/ebtop $(ARGS); else sudo $(VENV)/bin/ebtop $(ARGS); fi

$(VENV)/.test: $(VENV)/.installed
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && { ! command -v strace || ! command -v fio || ! command -v sudo; } >/dev/null; then \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
			apt-get -qq -y --no-install-recommends install $(TEST_PACKAGES) </dev/null >/dev/null; \
	fi
	$(RUN) -m pip $(QUIET) install pytest pytest-rerunfailures pytest-timeout pyte hypothesis
	touch $@

test: build $(VENV)/.test ## all tests that this machine can run, and which could not, and why
	$(RUN) -m pytest $(ARGS)
	if [ -z "$(ARGS)" ]; then $(RUN) tests/vm/matrix.py --if-possible --kernels ends --settings brief; fi

test-vm: build $(VENV)/.test ## the tests on other kernels, in virtual machines: KERNEL=5.10,newest SETTING=plain
	$(MAKE) --no-print-directory stress
	$(RUN) tests/vm/matrix.py --kernels "$(KERNEL)" --settings "$(SETTING)" $(ARGS)

test-live: build $(VENV)/.test ## only the tests on the real kernel; a skip is a failure
	EBTOP_LIVE=1 $(RUN) -m pytest tests/live $(ARGS)

# pinned: a new release brings new complaints
LINTERS = ruff==0.17.6 mypy==2.4.1
SOAK_SECONDS = $(or $(SECONDS),$(shell expr $(or $(MINUTES),60) \* 60))

soak: build $(VENV)/.test ## an hour under load, as root: no leak, right counts; MINUTES=10 or SECONDS=110
	$(MAKE) --no-print-directory stress
	EBTOP_SOAK_SECONDS=$(SOAK_SECONDS) $(RUN) -m pytest -s tests/soak $(ARGS)

stress:
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v stress-ng >/dev/null; then \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
			apt-get -qq -y --no-install-recommends install stress-ng </dev/null >/dev/null; \
	fi

screens: build $(VENV)/.test ## record the golden screens anew
	EBTOP_RECORD_SCREENS=1 $(RUN) -m pytest -q tests/screens $(ARGS)

bench: build $(VENV)/.test ## measure ebtop and its peers side by side (root)
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && { ! command -v atop || ! command -v strace || ! command -v fio || ! command -v stress-ng; } >/dev/null; then \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
			apt-get -qq -y --no-install-recommends install $(BENCH_PACKAGES) >/dev/null; \
	fi
	$(RUN) tests/bench/run.py $(ARGS)

$(VENV)/.lint: $(VENV)/.installed
	$(RUN) -m pip $(QUIET) install $(LINTERS)
	touch $@

lint: build $(VENV)/.lint ## ruff, mypy, clang-format: only complains
	$(VENV)/bin/ruff check $(LINT)
	$(VENV)/bin/ruff format --check $(LINT)
	$(VENV)/bin/mypy
	if command -v clang-format >/dev/null; then clang-format -n -Werror $(CODE); fi

fmt: $(VENV)/.lint ## put everything into form
	$(VENV)/bin/ruff check --fix $(LINT)
	$(VENV)/bin/ruff format $(LINT)
	if command -v clang-format >/dev/null; then clang-format -i $(CODE); fi

abi: build $(VENV)/.test ## check that kernel, C and Python agree on every layout
	$(RUN) -m pytest -q tests/unit/test_abi.py

sdist: build ## dist/ebtop-*.tar.gz, with libbpf's source and the compiled BPF programs
	$(RUN) setup.py $(QUIET) sdist 2>/dev/null

clean: ## remove what was built, but not libbpf's source
	rm -rf build dist *.egg-info csrc/skel $(VENV) ebtop/_core*.so
	find . -name __pycache__ -not -path './.git/*' -exec rm -rf {} +

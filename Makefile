# SPDX-License-Identifier: Apache-2.0
# A fresh clone needs `make demo` or `make test` and no more. ROS 2 comes from PyPI's wheels into .venv.

VENV := .venv
PYTHON ?= python3
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# Python code, launch files, configuration and models are used from the checkout: only these call for a new install.
BUILT := package.xml setup.py pyproject.toml CMakeLists.txt wheels.cmake executable.in $(wildcard msg/*.msg srv/*.srv)
INTERFACES := $(VENV)/.interfaces

# The executables that `ros2 run` and the launch files start, one for each node file; CMakeLists.txt has the same list.
LIB := $(VENV)/lib/cmkd_ros
NODES := $(patsubst cmkd_ros/nodes/%.py,$(LIB)/%,$(wildcard cmkd_ros/nodes/[!_]*.py))
EXECUTABLES := $(NODES) $(patsubst cmkd_ros/cli/%.py,$(LIB)/%,$(wildcard cmkd_ros/cli/cmkd.py))

# A sourced ROS 2 must not lend this environment its packages, neither for building nor for running.
INSTALL := env -u PYTHONPATH -u AMENT_PREFIX_PATH -u CMAKE_PREFIX_PATH VIRTUAL_ENV="$(CURDIR)/$(VENV)"
# The ROS wheels mark the environment of the process that loaded them, and a child with that mark would load its parent's.
RUN := env -u _ROS_WHEELS_BOOTSTRAP_COMPLETE PATH="$(CURDIR)/$(VENV)/bin:$$PATH" \
	PYTHONPATH="$(CURDIR)" AMENT_PREFIX_PATH="$(CURDIR)/$(VENV)" \
	ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST FASTRTPS_DEFAULT_PROFILES_FILE="$(CURDIR)/resource/fastdds.xml"

.PHONY: help demo test measure check format install clean executables

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*##/\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

demo: $(VENV)/.runtime executables  ## Install what is missing and run the simulated farm (ARGS="..." go to `cmkd up`)
	@$(RUN) cmkd up $(ARGS)

test: check  ## Install what is missing, check the code and run the tests (ARGS="..." go to pytest)
	@$(RUN) pytest $(ARGS)

measure: install  ## Run the measurements, which take minutes and are no part of the tests
	@$(RUN) pytest -m measure -s $(ARGS)

check: install  ## Lint, formatting and types
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy

format: install  ## Format the code and mend what the linter can mend
	@$(RUN) ruff check --fix --exit-zero
	@$(RUN) ruff format

install: $(VENV)/.dev executables  ## Install the package and the developers' tools into .venv

clean:  ## Remove the environment, builds and caches
	rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# install_package,REQUIREMENT: by uv, which takes half of pip's time; by pip where uv cannot be had or finds no index.
# build/ goes first, because CMake remembers the folder of the last isolated build, which is gone.
define install_package
	@echo "Installing $(1) into $(VENV)"
	@rm -rf build *.egg-info
	@test -x $(VENV)/bin/uv && $(INSTALL) $(VENV)/bin/uv pip install --quiet --reinstall-package cmkd_ros "$(1)" \
		|| $(INSTALL) $(VENV)/bin/python -m pip install --quiet "$(1)"
	@rm -rf build *.egg-info
endef

$(VENV)/.runtime: $(BUILT) $(INTERFACES) | $(VENV)/.created
	$(call install_package,.)
	@touch $@

# The extra holds the runtime too, so a fresh `make test` builds once.
$(VENV)/.dev: $(BUILT) $(INTERFACES) | $(VENV)/.created
	$(call install_package,.[dev])
	@touch $@ $(VENV)/.runtime

# The names of the messages: a removed file is newer than nothing, so the list itself has to be compared.
$(INTERFACES): FORCE | $(VENV)/.created
	@echo "$(sort $(wildcard msg/*.msg srv/*.srv))" | cmp -s - $@ || echo "$(sort $(wildcard msg/*.msg srv/*.srv))" > $@
FORCE:

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || { \
		echo "cmkd_ros needs Python 3.11, 3.12 or 3.13; another one can be named: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, os, sysconfig, venv; \
		open(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null && command -v g++ >/dev/null || { \
		echo "Missing: Python's venv module, Python's headers or g++. Please run" >&2; \
		echo "    sudo apt install python3-venv python3-dev g++" >&2; exit 1; }
	@test "$$(uname -m)" = x86_64 || { \
		echo "PyPI has ROS 2 for x86-64 only. On a Raspberry Pi, ROS 2 comes from apt: see requirements-pi.txt" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv || echo "No uv: pip will do, more slowly."
	@touch $@

# Nodes come and go without a new install: their stubs are written anew, and those of removed nodes taken away.
executables: $(EXECUTABLES)
	@rm -f $(filter-out $(EXECUTABLES),$(wildcard $(LIB)/*))

# write_executable,PACKAGE: by mv, because uv's files are hard links into its cache.
define write_executable
	@mkdir -p $(LIB)
	@sed 's/@module@/$(1).$(notdir $@)/' executable.in > $@.new && chmod 755 $@.new && mv $@.new $@
endef

$(NODES): $(LIB)/%: cmkd_ros/nodes/%.py | $(VENV)/.runtime
	$(call write_executable,cmkd_ros.nodes)

$(LIB)/cmkd: cmkd_ros/cli/cmkd.py | $(VENV)/.runtime
	$(call write_executable,cmkd_ros.cli)

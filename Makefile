# Everything here works alone from a fresh clone: with Python 3.11 or later, a C compiler and make,
# each target sets up what it needs (.venv, the C programs) and nothing twice.
#
# Variables: PYTHON (to make .venv with), VENV, CC, ARGS (passed on: make test ARGS="-k child").

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
# A recipe takes it from the environment: a name may have spaces, quotes and whatever else.
export RESULT ?= latest

# Always from the checkout: nothing of the project is installed, so nothing can be out of date.
RUN := $(VENV)/bin/python
# Isolated: what lies on PYTHONPATH is not installed. --quiet twice, for no warnings: pip warns about
# things that are not ours to change. Errors stay.
PIP := $(RUN) -I -m pip --disable-pip-version-check --quiet --quiet
# The locks into .venv, whatever pip's configuration says: where packages come from is the user's
# choice (indexes, proxies, certificates), what is installed and where is not. pip has no option that
# empties a list of its configuration; a variable comes after the files, and a blank one is empty.
# (Not platform and abi: with empty ones pip takes no wheel that is compiled, and builds from source.)
INSTALL := PIP_CONSTRAINT=' ' PIP_BUILD_CONSTRAINT=' ' PIP_REQUIREMENT=' ' PIP_EDITABLE=' ' \
	PIP_REQUIREMENTS_FROM_SCRIPT=' ' PIP_DRY_RUN=0 \
	$(PIP) --python= install --no-user --target= --root=/ \
	--prefix="$$($(RUN) -I -c 'import sys; print(sys.prefix)')" --require-hashes

# Variables of pip that name another place or Python, or something else to install; and those of
# Python that keep .venv from its libraries, `python -m` from this checkout, or Python from ending.
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_PLATFORM PIP_PYTHON_VERSION
unexport PIP_IMPLEMENTATION PIP_ABI PIP_DRY_RUN PIP_REQUIREMENT PIP_EDITABLE PIP_CONSTRAINT
unexport PYTHONHOME PYTHONSAFEPATH PYTHONINSPECT

RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed

# A .venv that works no longer (its Python is gone, or is another version now) is made anew: what it
# says of itself does not count then.
WORKS := $(RUN) -I -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
ifneq ($(wildcard $(RUNTIME)),)
ifneq ($(shell $(WORKS) && echo yes),yes)
.PHONY: $(RUNTIME)
endif
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: ab bench bench-quick peer test test-exhaustive test-all test-compiled test-pythons test-faults soak lint child compiled compiled-core plot report figures fuzz pgbench-workload lock clean distclean help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(firstword $(MAKEFILE_LIST)) \
	| awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

bench: compiled ## measure the default profile: table, curves and a page to look at (5 minutes; ARGS=...)
	@$(RUN) -m bench run --profile default --plot --report $(ARGS)

bench-quick: compiled ## the same with the quick profile, without the page (30 seconds; ARGS=...)
	@$(RUN) -m bench run --profile quick --plot $(ARGS)

PEER ?=
peer: ## measure a program of your own beside the managers (PEER=path; 5 minutes; ARGS=...)
	@test -n "$(PEER)" || { \
	    echo "error: which program? Say make peer PEER=path (docs/peer.md says what it must take)" >&2; \
	    exit 2; }
	@$(MAKE) --no-print-directory compiled
	@$(RUN) -m bench run --profile peer --peer "$(PEER)" --plot $(ARGS)

plot: $(RUNTIME) ## draw the curves of a result file anew (RESULT=path; the latest if not given)
	@$(RUN) -m bench plot "$$RESULT" --force $(ARGS)

report: $(RUNTIME) ## a result file as one HTML page (RESULT=path, several to compare; the latest if not given)
	@if test -e "$$RESULT"; then set -- "$$RESULT"; else set -- $$RESULT; fi; \
	$(RUN) -m bench report "$$@" --force $(ARGS)

figures: $(RUNTIME) ## fill README and docs/ anew with what the results in results/reference say
	@PYTHONPATH=. $(RUN) docs/refresh.py $(ARGS)

BASE ?=
CHANGED ?= latest
compare: ## what changed between two results (BASE=file or commit, CHANGED=likewise; ARGS=...)
	@test -n "$(BASE)" || { \
	    echo "error: compared with what? Say make compare BASE=file (or a commit) CHANGED=file" >&2; \
	    exit 2; }
	@$(MAKE) --no-print-directory $(RUNTIME)
	@$(RUN) -m bench compare "$(BASE)" "$(CHANGED)" $(ARGS)

ab: ## measure a commit and the working tree in turn, and compare (BASE=commit; ARGS=...)
	@test -n "$(BASE)" || { \
	    echo "error: compared with what? Say make ab BASE=commit (or a tag, or a branch)" >&2; \
	    exit 2; }
	@$(MAKE) --no-print-directory compiled
	@$(RUN) -m bench ab "$(BASE)" $(ARGS)

child: $(RUNTIME) ## compile the C programs and print their paths
	@$(RUN) -m fake_redo_child.build

# The same for those who only need them: nothing is compiled twice, so there is nothing to say.
compiled: $(RUNTIME)
	@$(RUN) -m fake_redo_child.build >/dev/null

compiled-core: $(DEV) ## compile the hot modules of walredo with mypyc, for run --build mypyc
	@$(RUN) -m bench.running.equipment.compile_core

# Many tests wait for a deadline or a child: more at once than there are CPUs.
TEST_JOBS ?= 4
test: compiled $(DEV) ## run the tests but the exhaustive ones (5 minutes; ARGS="-k name")
	@$(RUN) -m pytest -n $(TEST_JOBS) $(ARGS)

test-exhaustive: compiled $(DEV) ## run the tests marked exhaustive: what `make test` leaves out (ARGS="-k name")
	@$(RUN) -m pytest -n $(TEST_JOBS) -m exhaustive $(ARGS)

test-all: compiled $(DEV) ## run every test, as .ci/run does in three steps (ARGS="-k name")
	@$(RUN) -m pytest -n $(TEST_JOBS) -m "" $(ARGS)
	@$(MAKE) --no-print-directory test-compiled

# The core must stand before the checkout on the path, which Python and pytest would put first.
test-compiled: compiled $(DEV) ## run the tests of walredo over its compiled core (ARGS="-k name")
	@core="$$($(RUN) -m bench.running.equipment.compile_core)" && \
	COMPILED_CORE="$$core" PYTHONPATH="$$core" $(RUN) -P -m pytest -n $(TEST_JOBS) \
	    --import-mode=append -o "pythonpath=$$core ." -m "not exhaustive and not pure" tests/walredo $(ARGS)

PYTHONS ?=
test-pythons: ## run the tests that depend on the interpreter on each version the machine has (PYTHONS="3.12 3.13")
	@$(PYTHON) tests/support/pythons.py $(PYTHONS)

test-faults: compiled $(DEV) ## print what callers get under every fault of the child, as in docs/fault-matrix.md
	@$(RUN) -m tests.support.fault_matrix

REDOS ?= 1000000
soak: compiled $(DEV) ## redo while the child is killed and stopped all the time (REDOS=1000000; ARGS=...)
	@$(RUN) -m tests.support.soak --redos $(REDOS) $(ARGS)

# Each C file with $(CC), and with clang where there is one, as their warnings differ. Compiled for
# real: some warnings come from the optimiser.
C_WARNINGS := -std=c11 -O2 -Wall -Wextra -Werror
lint: $(DEV) ## check style, types and C warnings
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@mkdir -p build/lint
	@for compiler in "$(CC)" $$(command -v clang >/dev/null && echo clang); do \
	    for source in fake_redo_child/*/*.c; do \
	        $$compiler $(C_WARNINGS) -c -o build/lint/object.o "$$source" || exit 1; \
	    done; \
	    echo "$$compiler: no warnings"; \
	done

# What a fuzzer found on its way is kept in build/fuzz/corpus and used by the next run; an input that
# crashes it is left in build/fuzz, and fake_redo_child/fuzz/fuzz_replay.c runs it again.
SECONDS ?= 60
FUZZED := redo_parser memory_io
FUZZ_SOURCES := $(addprefix fake_redo_child/,child/redo_parser.c common/memory_io.c \
	common/shared_ring.c common/child_io.c)
fuzz: ## feed what reads input (pipe, memory) with inputs that libFuzzer makes up (SECONDS=60 each; needs clang)
	@command -v clang >/dev/null || { \
	    echo "error: clang is missing, and libFuzzer is a part of it: apt-get install clang" >&2; exit 2; }
	@for name in $(FUZZED); do \
	    mkdir -p build/fuzz/corpus/$$name && \
	    clang -std=c11 -O1 -g -Wall -Wextra -Werror -fsanitize=fuzzer,address,undefined \
	        -fno-sanitize-recover=all -o build/fuzz/fuzz_$$name \
	        fake_redo_child/fuzz/fuzz_$$name.c $(FUZZ_SOURCES) && \
	    build/fuzz/fuzz_$$name -max_total_time=$(SECONDS) -max_len=20000 -timeout=10 \
	        -artifact_prefix=build/fuzz/ -print_final_stats=1 build/fuzz/corpus/$$name \
	        tests/corpus/$$name </dev/null || exit 1; \
	done

# The kept file is what results compare by: it is only made anew on purpose.
pgbench-workload: $(DEV) ## make the built-in workload pgbench anew (needs PostgreSQL)
	@$(RUN) -m tests.support.pgbench_workload

clean: ## remove build products and caches (results and .venv stay)
	@rm -rf build fake_redo_child/build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path '*/.venv*/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv as well (results stay)
	@rm -rf $(VENV)

# --- setting up -----------------------------------------------------------------------------------

# The locks hold every dependency with its hashes. uvloop is only tried: interpreters without a wheel
# of it (free-threaded builds, a Python that has just come out) can do everything else.
WITHOUT_UVLOOP := awk '/^[a-z0-9]/ { skip = /^uvloop==/ } !skip'
ONLY_UVLOOP := awk '/^[a-z0-9]/ { keep = /^uvloop==/ } keep'

# One make at a time sets up .venv: a recipe holds a lock on its folder to the end (the shell keeps
# the folder open), and has nothing left to do if another make did it meanwhile. Without flock(1),
# as a system that has no util-linux, there is no lock.
ALONE = mkdir -p "$(VENV)" && exec 9<"$(VENV)" && \
	if command -v flock >/dev/null && ! flock -n 9; then \
	    echo "waiting for another make that sets up $(VENV) ..."; flock 9; \
	fi

# A .venv that does not work (its Python gone, or too old) is made anew, and it counts as set up once
# the command line can be loaded. The messages name the way out.
$(RUNTIME): requirements.lock
	@set -e; $(ALONE); \
	if test $@ -nt $< && $(WORKS); then exit 0; fi; \
	echo "setting up $(VENV) ..."; \
	$(WORKS) || { \
	    $(PYTHON) -c '' 2>/dev/null || { \
	        echo "error: $(PYTHON) does not run: install Python 3.11 or later," \
	             "or say make PYTHON=/path/to/python3" >&2; exit 1; }; \
	    $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	        echo "error: $(PYTHON) is $$($(PYTHON) -V 2>&1), but 3.11 or later is needed:" \
	             "say make PYTHON=/path/to/python3.11" >&2; exit 1; }; \
	    $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	        echo "error: $(PYTHON) has no venv or no ensurepip module: install them (Debian, Ubuntu:" \
	             "apt-get install python3-venv), or say make PYTHON=/path/to/python3" >&2; exit 1; }; \
	    $(PYTHON) -m venv --clear $(VENV); }; \
	$(WITHOUT_UVLOOP) $< > $(VENV)/runtime.lock; \
	$(INSTALL) -r $(VENV)/runtime.lock; \
	$(ONLY_UVLOOP) $< > $(VENV)/uvloop.lock; \
	$(INSTALL) --only-binary :all: -r $(VENV)/uvloop.lock 2>/dev/null || \
	    echo "note: uvloop cannot be installed here, so the manager async-uvloop is not available"; \
	$(RUN) -m bench run --help >/dev/null || { \
	    echo "error: what was installed in $(VENV) cannot be loaded: say make distclean and try again," \
	         "or make PYTHON=/path/to/python3" >&2; exit 1; }; \
	touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@set -e; $(ALONE); \
	if test $@ -nt $< && test $@ -nt $(RUNTIME); then exit 0; fi; \
	echo "setting up $(VENV) for development ..."; \
	$(WITHOUT_UVLOOP) $< > $(VENV)/dev.lock; \
	$(INSTALL) -r $(VENV)/dev.lock; \
	touch $@

# --- refreshing the locks -------------------------------------------------------------------------

# Made with the oldest Python that is supported, so that the versions it finds work on the later ones
# too, and only from the public registry (no configuration, no local folder of wheels): the hashes
# must be those of the files that everybody gets.
LOCK_PYTHON ?= python3.11
LOCK_TOOL := pip-tools==7.6.2
LOCK_VENV := build/lock-venv
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= \
	PIP_EXTRA_INDEX_URL= $(LOCK_VENV)/bin/python -m piptools compile --quiet --upgrade \
	--generate-hashes --allow-unsafe --strip-extras --no-emit-options

lock: ## renew requirements.lock and requirements-dev.lock from pyproject.toml
	@$(LOCK_PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	    echo "error: the locks are made with Python 3.11:" \
	         "say make lock LOCK_PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(LOCK_PYTHON) -m venv --clear $(LOCK_VENV)
	@$(LOCK_VENV)/bin/python -m pip --quiet --quiet install $(LOCK_TOOL)
	@$(COMPILE) --extra uvloop -o requirements.lock pyproject.toml
	@$(COMPILE) --extra uvloop --extra wal --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	@rm -rf $(LOCK_VENV)

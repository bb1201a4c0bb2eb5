# make run      a demo: a small Marathon, its apps, the load balancer and HAProxy, without root
# make test     everything; what needs a program that is missing is skipped with its reason
# make test-unit      the part that needs no HAProxy, no browser and no network; done in a minute
# make test-corpus CORPUS=DIR  the tests of tests/data over a collection of real data, which is no part of the project
# make lint     ruff and mypy
# make audit    known vulnerabilities of the dependencies: as installed here, and at their minimum versions
# make docs     the generated files of docs/
# make bench    the figures
# make fuzz     random hostile apps beside plain ones: SEED=1 CASES=1000 SECONDS=300
# make dist     a wheel and a source archive, each tried in an environment of its own
# make changelog             what the next release will say
# make release VERSION=2.0.0 writes it down, commits it and tags it
# make image-test           builds the image, runs it and sends requests through it: root, buildah and debootstrap
# make clean    remove what these made

PYTHON ?= python3
VENV ?= .venv
# Real Marathons for make run, for example MARATHON=http://marathon:8080; without one it starts its own.
MARATHON ?=
HTTP_PORT ?= 10080
HTTPS_PORT ?= 10443
STATS_PORT ?= 19090
APPID_PORT ?= 19091
MARATHON_PORT ?= 18080
# What trial is to run; a part of it, for example TESTS=tests.test_options.
TESTS ?= tests
# So many tests at once: most of them wait for processes. JOBS= runs one after the other, in one process.
JOBS ?= 3
# Of make test-corpus: a directory with data/ and contract/.
CORPUS ?= ../shared
# Of make fuzz: the first case, how many, and the seconds after which no further one begins.
SEED ?= 1
CASES ?= 1000
SECONDS ?= 300

# Every test module that does not lie in tests/integration.
UNITS := $(subst /,.,$(patsubst %/__init__.py,%,$(filter-out tests/integration/%,$(wildcard tests/*/__init__.py))))
UNITS += $(subst /,.,$(basename $(wildcard tests/test_*.py)))

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
TOO_OLD := "Python 3.11 or later is needed and this is %d.%d; try make PYTHON=python3.12" % sys.version_info[:2]
NO_VENV := "$(PYTHON) makes no virtual environments; install the package python3-venv (Debian, Ubuntu)"

.PHONY: run test test-unit test-corpus lint lint-ruff lint-format lint-types audit docs bench fuzz dist changelog release image-test venv clean

run: venv
	exec $(BIN)/python -m minimarathon.demo \
	    --http-port $(HTTP_PORT) --https-port $(HTTPS_PORT) --stats-port $(STATS_PORT) \
	    --appid-port $(APPID_PORT) --marathon-port $(MARATHON_PORT)

test: venv
	$(BIN)/trial $(if $(JOBS),--jobs $(JOBS)) $(TESTS)

test-unit: venv
	$(BIN)/trial $(if $(JOBS),--jobs $(JOBS)) $(UNITS)

test-corpus: venv
	CORPUS=$(abspath $(CORPUS)) $(BIN)/trial tests.corpus.documents tests.corpus.haproxy tests.corpus.marathon

# Each says what it has to say, also where another one failed: make --keep-going lint.
lint: lint-ruff lint-format lint-types

lint-ruff: venv
	$(BIN)/ruff check .

lint-format: venv
	$(BIN)/ruff format --check .

lint-types: venv
	$(BIN)/mypy

# pip-audit asks a database of advisories. Where that cannot be asked, it says which packages nothing is known about.
audit: venv
	$(BIN)/pip-audit --local --skip-editable --progress-spinner off
	$(BIN)/python packaging/minimums.py >$(VENV)/minimums.txt
	$(BIN)/pip-audit --requirement $(VENV)/minimums.txt --no-deps --disable-pip --progress-spinner off

docs: venv
	$(BIN)/python -m marathonlb.documentation docs

fuzz: venv
	$(BIN)/python -m tests.fuzz --seed $(SEED) --cases $(CASES) --seconds $(SECONDS)

bench: venv
	$(BIN)/python -m benchmarks

# The wheel is built from the archive, so that the archive is known to be whole.
dist: venv
	rm -rf build dist
	$(BIN)/python setup.py --quiet sdist
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist dist/*.tar.gz
	for file in dist/*; do sh packaging/smoke.sh $(PYTHON) "$$file" || exit 1; done

changelog: venv
	@$(BIN)/towncrier build --draft --version next

# The tag is what names the version: build with make dist after it, push both.
release: venv
	@test -n "$(VERSION)" || { echo "say which: make release VERSION=2.0.0" >&2; exit 2; }
	@git diff --quiet HEAD || { echo "there are changes that are not committed" >&2; exit 1; }
	$(BIN)/towncrier build --yes --version $(VERSION)
	git commit --quiet --message "Release $(VERSION)" -- CHANGELOG.md changes
	git tag --annotate --message "marathon-lb $(VERSION)" v$(VERSION)

image-test: venv
	$(BIN)/python packaging/image/check.py

venv: $(STAMP)

# Twisted finds plugins by looking into the directories on the path, so the editable install must put the checkout
# itself there: that is what editable_mode=compat does.
$(STAMP): setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and $(TOO_OLD))'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo $(NO_VENV) >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) 'setuptools>=78.1.1' 'setuptools-scm>=8.1'
	PYTHONWARNINGS=ignore $(PIP) --no-build-isolation --config-settings editable_mode=compat \
	    --editable '.[haproxy,test,lint]'
	@touch $@

clean:
	rm -rf $(VENV) build dist run *.egg-info _trial_temp* .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f twisted/plugins/dropin.cache marathonlb/_version.py

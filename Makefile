# make run      a demonstration without root: a small Marathon, its apps, the load balancer and HAProxy
# make test     all tests; a test whose program is missing is skipped with the reason
# make test-unit      the tests that need no HAProxy, no browser and no network; done in a minute
# make test-corpus CORPUS=DIR  the tests of tests/data over a collection of real data, which is no part of the project
# make coverage the lines and branches that the tests run: TESTS=... as in make test
# make lint     ruff and mypy
# make audit    known vulnerabilities of the dependencies, as installed here and at their minimum versions
# make docs     the generated files of docs/
# make bench    the benchmarks; OLDER="python3 /path/marathon_lb.py" compares an older script with ours
# make fuzz     random hostile apps beside plain ones: SEED=1 CASES=1000 SECONDS=300
# make dist     wheels and source archives, each tried in an environment of its own
# make changelog             print what the next release will say
# make release VERSION=2.0.0 write CHANGELOG.md, commit it and tag it
# make image-test            build the image, run it and send requests through it: needs root, buildah and debootstrap
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
# What trial runs, for example TESTS=tests.options.
TESTS ?= tests
# Number of tests at a time: most of them wait for processes. JOBS= runs one after the other, in one process.
JOBS ?= 3
# Of make test-corpus: a directory with data/ and contract/.
CORPUS ?= ../shared
# Of make fuzz: the first case, the number of cases, and the seconds after which no further case begins.
SEED ?= 1
CASES ?= 1000
SECONDS ?= 300

# Every test module that does not lie in tests/integration.
UNITS := $(subst /,.,$(patsubst %/__init__.py,%,$(filter-out tests/integration/%,$(wildcard tests/*/__init__.py))))
UNITS += $(subst /,.,$(basename $(wildcard tests/test_*.py)))

BIN := $(VENV)/bin
MADE := $(VENV)/.made
RUN_STAMP := $(VENV)/.installed-run
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Twisted looks for plugins in the directories of the path, so an editable install must put the checkout itself there:
# that is what editable_mode=compat does. minimarathon needs no installation in a checkout.
EDITABLE := PYTHONWARNINGS=ignore $(PIP) --no-build-isolation --config-settings editable_mode=compat --editable
WHEEL := $(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist
TOO_OLD := "Python 3.11 or later is needed and this is %d.%d; try make PYTHON=python3.12" % sys.version_info[:2]
NO_VENV := "$(PYTHON) makes no virtual environments; install the package python3-venv (Debian, Ubuntu)"

.PHONY: run test test-unit test-corpus coverage lint lint-ruff lint-format lint-types audit docs bench fuzz dist changelog release image-test venv clean

run: $(RUN_STAMP)
	exec $(BIN)/python -m minimarathon.demo \
	    --http-port $(HTTP_PORT) --https-port $(HTTPS_PORT) --stats-port $(STATS_PORT) \
	    --appid-port $(APPID_PORT) --marathon-port $(MARATHON_PORT)

test: venv
	$(BIN)/trial $(if $(JOBS),--jobs $(JOBS)) $(TESTS)

test-unit: venv
	$(BIN)/trial $(if $(JOBS),--jobs $(JOBS)) $(UNITS)

# The Python processes that tests start are measured, too; those that are killed leave nothing. A failing test does not
# end it: coverage slows everything down.
coverage: venv
	$(BIN)/coverage erase
	-$(BIN)/coverage run --module twisted.trial $(if $(JOBS),--jobs $(JOBS)) $(TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-corpus: venv
	CORPUS=$(abspath $(CORPUS)) $(BIN)/trial tests.corpus.documents tests.corpus.haproxy tests.corpus.marathon

# make --keep-going lint runs each of them, also where another one fails.
lint: lint-ruff lint-format lint-types

lint-ruff: venv
	$(BIN)/ruff check .

lint-format: venv
	$(BIN)/ruff format --check .

lint-types: venv
	$(BIN)/mypy

# pip-audit asks a database of advisories; where it cannot, it names the packages that it could not look up.
audit: venv
	$(BIN)/pip-audit --local --skip-editable --progress-spinner off
	$(BIN)/python packaging/minimums.py >$(VENV)/minimums.txt
	$(BIN)/pip-audit --requirement $(VENV)/minimums.txt --no-deps --disable-pip --progress-spinner off

docs: venv
	$(BIN)/python -m marathonlb.documentation docs

fuzz: venv
	$(BIN)/python -m tests.fuzz --seed $(SEED) --cases $(CASES) --seconds $(SECONDS)

bench: venv
	$(BIN)/python -m benchmarks $(if $(OLDER),--older "$(OLDER)")

# The wheel is built from the archive, so that the archive is known to be whole.
dist: venv
	rm -rf build dist
	$(BIN)/python setup.py --quiet sdist
	$(WHEEL) dist/*.tar.gz
	sh packaging/minimarathon/assemble.sh build/minimarathon
	SETUPTOOLS_SCM_PRETEND_VERSION=$$($(BIN)/python -c 'from marathonlb import __version__; print(__version__)') \
	    $(WHEEL) ./build/minimarathon
	for file in dist/marathon_lb*; do sh packaging/smoke.sh $(PYTHON) "$$file" dist/minimarathon*.whl || exit 1; done

changelog: venv
	@$(BIN)/towncrier build --draft --version next

# The tag names the version: run make dist afterwards, and push the commit and the tag.
release: venv
	@test -n "$(VERSION)" || { echo "name the version: make release VERSION=2.0.0" >&2; exit 2; }
	@git diff --quiet HEAD || { echo "commit your changes first" >&2; exit 1; }
	$(BIN)/towncrier build --yes --version $(VERSION)
	git commit --quiet --message "Release $(VERSION)" -- CHANGELOG.md changes
	git tag --annotate --message "marathon-lb $(VERSION)" v$(VERSION)

image-test: venv
	$(BIN)/python packaging/image/check.py

venv: $(STAMP)

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and $(TOO_OLD))'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo $(NO_VENV) >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) 'setuptools>=78.1.1' 'setuptools-scm>=8.1'
	@touch $@

# What make run needs. The rest is added to the same environment when something else is made.
$(RUN_STAMP): $(MADE) setup.py pyproject.toml
	$(EDITABLE) '.[haproxy]'
	@touch $@

$(STAMP): $(MADE) setup.py pyproject.toml
	$(EDITABLE) '.[haproxy,test,lint]'
	@touch $@ $(RUN_STAMP)

clean:
	rm -rf $(VENV) build dist run *.egg-info _trial_temp* .coverage* htmlcov .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f twisted/plugins/dropin.cache marathonlb/_version.py

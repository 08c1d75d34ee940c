# Two commands matter: `make book` and `make test`. Both work on a bare machine with make and Python 3.11 or newer.
# One environment serves both: .venv, made on first use from pyproject.toml and constraints.txt.

PYTHON ?= python3
PORT ?= 8000
# make test TESTS=tests/test_mixing.py runs a part of the suite, on the book as it is.
TESTS ?= tests
# make verify ARGS="covariance.population --fresh"
ARGS ?=
NAMES ?=
# make course SEED=4711; make grade SEED=4711 SUBMISSIONS=folder
SEED ?=
SUBMISSIONS ?=
# make notebooks REMOTE=upstream
REMOTE ?= origin

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SITE := _build/html
NOTEBOOKS := $(SITE)/book/exercises
COMMITTER := -c user.name=mixtheory -c user.email=mixtheory@localhost
UNFINISHED := _build/.unfinished

# The environment is usable if it was made here (a moved checkout is not) and by the asked-for Python.
VERSION := import sys; print(*sys.version_info[:2])
USABLE := [ "$$($(BIN)/python -c '$(VERSION)' 2>/dev/null)" = "$$($(PYTHON) -c '$(VERSION)')" ] \
	&& grep -qsF "$(CURDIR)/$(BIN)/python" $(BIN)/pip

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help book instructor pdf social notebooks test verify data course grade audit serve lint env clean distclean FORCE

help:  ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

# Sphinx does not repeat the warnings of pages it has already parsed: after a build that failed or was interrupted
# the parsed pages are dropped, or the next build would pass.
book: $(STAMP) verify  ## check every claim and build the book, warnings as errors, into _build/html
	@[ ! -e $(UNFINISHED) ] || rm -rf _build/.doctrees
	@mkdir -p _build && touch $(UNFINISHED)
	$(BIN)/jupyter-book build . -W -n --keep-going
	@rm $(UNFINISHED)

test: $(STAMP) $(if $(filter tests,$(TESTS)),book)  ## build the book if it is not up to date, then run the test suite
	$(BIN)/python -m pytest -n 2 $(TESTS)

pdf: book  ## print the whole book into _build/mixtheory.pdf (needs Chromium)
	$(BIN)/python -m mixtheory.reading.pdf

# The pages of the public book and, after them, the worked solutions: for those who teach. The public pages come from
# their cache; what is made here goes into no folder that is published.
instructor: book  ## build the book with the worked solutions, into _build/instructor
	@rm -rf _build/instructor/_build/.jupyter_cache && mkdir -p _build/instructor/_build
	@cp -a _build/.jupyter_cache _build/instructor/_build/
	@{ cat _toc.yml; printf '  - caption: Solutions\n    chapters:\n'; \
		for page in book/solutions/*.md; do printf '      - file: %s\n' "$${page%.md}"; done; } > _build/instructor/_toc.yml
	$(BIN)/jupyter-book build . -W -n --keep-going --toc _build/instructor/_toc.yml --path-output _build/instructor

verify: $(STAMP)  ## check the claims; what has not changed is read from the evidence store
	$(BIN)/mixtheory verify $(ARGS)

data: $(STAMP)  ## fetch and check data sets: make data NAMES="mnist cifar10"
	$(BIN)/mixtheory data $(NAMES)

course: $(STAMP)  ## build the problem sets of a course: make course SEED=4711
	@[ -n "$(SEED)" ] || { echo "Name a seed: make course SEED=4711. It decides every constant; keep it secret."; exit 1; }
	$(BIN)/mixtheory course build --seed $(SEED) $(NAMES)

grade: $(STAMP)  ## grade a folder: make grade SEED=4711 SUBMISSIONS=folder
	@[ -n "$(SEED)" ] && [ -n "$(SUBMISSIONS)" ] || { echo "make grade SEED=4711 SUBMISSIONS=folder"; exit 1; }
	$(BIN)/mixtheory course grade --autograders _build/course/$(SEED)/autograder --submissions "$(SUBMISSIONS)" \
		--out _build/course/$(SEED)/grades.csv

audit: $(STAMP)  ## measure the built book: accessibility, speed, weight, validity, links; see _build/audit
	$(BIN)/python -m tests.book.audit $(ARGS)

serve:  ## show the built book in a browser
	@[ -f $(SITE)/index.html ] || { echo "There is no book yet: run make book first."; exit 1; }
	@case "$$(uname)$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" in Linux) ;; *) \
		(sleep 1; $(PYTHON) -m webbrowser "http://127.0.0.1:$(PORT)/" >/dev/null 2>&1) & esac; \
	exec $(PYTHON) -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE)

# ruff does not read MyST notebooks and would say that all is well: jupytext hands it their cells.
# Not asked of a page: docstrings, imports first, short lines of prose, expressions that are used (they are shown).
lint: $(STAMP)  ## style of package, tests and the book's cells; spelling
	$(BIN)/ruff check mixtheory tests
	grep -rl '^kernelspec:' --include='*.md' --exclude-dir=.venv --exclude-dir=_build . | sort | xargs -r $(BIN)/jupytext --quiet \
		--pipe-fmt py:percent --check "$(BIN)/ruff check --quiet --config pyproject.toml --ignore D,E402,E501,B018,T20 {}"
	$(BIN)/codespell

social: $(STAMP)  ## draw the picture for shared links anew, book/_static/social.png
	$(BIN)/python -m mixtheory.reading.social

# A commit without a parent that holds nothing but the notebooks: Colab opens them from its tag.
notebooks: export GIT_INDEX_FILE = $(CURDIR)/_build/notebooks.index
notebooks: book  ## put the exercise notebooks of the built book under the tag notebooks-vVERSION and push it
	@ls $(NOTEBOOKS)/*.ipynb >/dev/null
	@rm -f $$GIT_INDEX_FILE
	git --git-dir=$$(git rev-parse --absolute-git-dir) --work-tree=$(NOTEBOOKS) add --force --all .
	tag=notebooks-v$$($(BIN)/python -c 'import mixtheory; print(mixtheory.__version__)') \
		&& commit=$$(git $(COMMITTER) commit-tree -m "Exercise notebooks, $$tag" $$(git write-tree)) \
		&& git push $(REMOTE) $$commit:refs/tags/$$tag

env: $(STAMP)  ## make or refresh the environment only
	@echo '$(VENV) is up to date.'

clean:  ## remove the built book, the evidence store and caches
	rm -rf _build build *.egg-info .hypothesis .pytest_cache .ruff_cache
	find mixtheory tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## remove the environment too
	rm -rf $(VENV)

ifeq ($(filter-out help serve clean distclean,$(or $(MAKECMDGOALS),help)),)
else ifneq ($(shell $(USABLE) && echo usable),usable)
$(STAMP): FORCE
endif

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"mixtheory needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ": make ... PYTHON=python3.12")'
	@$(USABLE) || { rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

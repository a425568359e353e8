# Needs make and Python 3.11 or newer. Everything else goes into .venv and .openalert, beside this file.

VENV := .venv
STAMP := $(VENV)/installed
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
PYTEST_ARGS ?=
BENCH_ARGS ?=
DRILL_ARGS ?= --runs 3

.DEFAULT_GOAL := help
.PHONY: help run test lint audit-dependencies drill bench-intake bench-storm bench-growth bench-escalation bench-schedules bench-live bench-pages bench-reports bench-api bench-sizes rolling clean-data

help:
	@echo "make run         start OpenAlert with a PostgreSQL and a Valkey of its own (PORT=8000; DEMO=0: empty)"
	@echo "make test        run the tests (PYTEST_ARGS='-k engine')"
	@echo "make lint        check style, import order and migrations"
	@echo "make audit-dependencies  ask a public service for known holes in the requirements (needs the internet)"
	@echo "make drill       break an installation again and again, and see that no alert and no page is lost"
	@echo "make rolling     replace every process while alerts come in and people are paged, and see that nothing fails"
	@echo "make bench-intake   measure intake beside its peer (BENCH_ARGS='--rounds 1')"
	@echo "make bench-storm    100,000 alerts in a minute while people look and are paged"
	@echo "make bench-escalation  idle ticks, 10,000 steps due at once, how late a normal load is"
	@echo "make bench-schedules  who is on call: a year of one schedule, now in 1,000"
	@echo "make bench-growth   intake with ten million alerts in the table (BENCH_ARGS='--alerts 1000000')"
	@echo "make bench-live     live rooms beside Socket.IO: 1,000 clients, 200 events a second (BENCH_ARGS=--servers)"
	@echo "make bench-pages    every page on a lot of data, 100 ms at most (fill it first: manage.py seed_big)"
	@echo "make bench-reports  every report over a week, a month, a quarter and a year on a lot of data, 200 ms at most"
	@echo "make bench-api      the main calls of the REST API"
	@echo "make bench-sizes    memory of each process, and the database's size for so many alerts"
	@echo "make clean-data  remove the data of make run (.openalert)"

run: $(STAMP)
	@exec $(VENV)/bin/python manage.py up $(if $(filter 0 no false,$(DEMO)),--no-demo)

test: $(STAMP)
	@exec $(VENV)/bin/python -m pytest $(PYTEST_ARGS)

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/python -m mypy
	$(VENV)/bin/python -W 'ignore:Got an error checking' manage.py makemigrations --check --dry-run

# In an environment of its own: pip-audit needs packages that OpenAlert does not. Not a part of `.ci/run`, which must give
# the same answer for the same commit, with and without the internet; run it by a timer, and before each release.
audit-dependencies:
	@test -x $(VENV)-audit/bin/pip-audit || { $(PYTHON) -m venv --clear $(VENV)-audit \
		&& $(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1; }
	@$(VENV)-audit/bin/pip-audit --requirement requirements.txt --no-deps --disable-pip --strict || { status=$$?; \
		echo "Not clean, or the service could not be asked: see above. Nothing is known to be safe by this." >&2; exit $$status; }

drill: $(STAMP)
	$(VENV)/bin/python -m bench.drill $(DRILL_ARGS)

rolling: $(STAMP)
	$(VENV)/bin/python -m bench.drill.rolling $(BENCH_ARGS)

bench-intake: $(STAMP)
	$(VENV)/bin/python bench/compare_intake.py $(BENCH_ARGS)

bench-storm: $(STAMP)
	$(VENV)/bin/python bench/storm.py $(BENCH_ARGS)

bench-escalation: $(STAMP)
	$(VENV)/bin/python bench/escalation.py $(BENCH_ARGS)

bench-schedules: $(STAMP)
	$(VENV)/bin/python bench/schedules.py $(BENCH_ARGS)

bench-growth: $(STAMP)
	$(VENV)/bin/python bench/growth.py $(BENCH_ARGS)

bench-live: $(STAMP)
	$(VENV)/bin/python bench/live.py $(BENCH_ARGS)

bench-pages: $(STAMP)
	$(VENV)/bin/python bench/pages.py $(BENCH_ARGS)

bench-reports: $(STAMP)
	$(VENV)/bin/python bench/reports.py $(BENCH_ARGS)

bench-api: $(STAMP)
	$(VENV)/bin/python bench/api.py $(BENCH_ARGS)

bench-sizes: $(STAMP)
	$(VENV)/bin/python bench/sizes.py $(BENCH_ARGS)

# Stop OpenAlert first. What root's servers keep elsewhere is removed by the next start.
clean-data:
	rm -rf .openalert

$(STAMP): requirements.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "OpenAlert needs Python 3.11 or newer, and no python3 on the PATH is." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; \
		exit 1; \
	fi
	@if ! $(VENV)/bin/python -c '' 2>/dev/null && ! $(PYTHON) -m venv --clear $(VENV); then \
		rm -rf $(VENV); \
		echo "The virtual environment could not be made (on Debian: apt-get install python3-venv)." >&2; \
		exit 1; \
	fi
	@printf 'Installing the requirements into %s ' $(VENV)
	@{ $(VENV)/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off \
		-r requirements.txt 2>$(VENV)/pip-errors; echo "status $$?"; } \
		| awk '/^status /{status = $$2; next} /^Collecting/ {printf "."; fflush()} END {print ""; exit status}' \
		|| { cat $(VENV)/pip-errors >&2; exit 1; }
	@touch $@

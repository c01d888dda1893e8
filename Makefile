SHELL := /bin/bash
PYTHON ?= python3
IN_ENVIRONMENT := . tools/env.bash &&

# given on the command line, as in: make demo DURATION=60 POLICY=fixed
DEMO_OPTIONS = $(if $(DURATION),--duration '$(DURATION)') $(if $(VIDEO),--video '$(VIDEO)') \
  $(if $(TRACE),--trace '$(TRACE)') $(if $(POLICY),--policy '$(POLICY)') \
  $(if $(RATE),--rate '$(RATE)') $(ARGS)

# given on the command line, as in: make bench TRACES=folder
TRACES ?= config/traces

.PHONY: help setup demo test lint bench bench-graph bench-edge faults fuzz clock-kills bench-hardware clean
.DEFAULT_GOAL := help

help:
	@echo 'make demo         the whole loop with a live table and a report'
	@echo '                  options: DURATION=seconds VIDEO=path TRACE=path POLICY=name RATE=frames/s'
	@echo 'make test         all tests (ARGS=... goes to pytest)'
	@echo 'make lint         ruff and mypy'
	@echo 'make bench        all policies in simulated worlds, in minutes; writes docs/results.md'
	@echo '                  option: TRACES=folder of recorded uplinks'
	@echo 'make bench-graph  loss, latency and CPU of the frame path (ARGS=... goes to the command)'
	@echo 'make bench-edge   pacing, capacity, overhead, throughput and fairness of the way to the edge'
	@echo '                  one of them with its options: ARGS="capacity --traces folder"'
	@echo 'make faults       a running robot through hundreds of faults (COUNT=faults)'
	@echo 'make fuzz         an edge server under attack for MINUTES=minutes'
	@echo 'make clock-kills  gpu_clock_node and its helper killed at random moments (COUNT=kills)'
	@echo 'make bench-hardware  cost of power meters, time until a clock is set and read back'
	@echo 'make setup        only the set-up that each of these does first'
	@echo 'make clean        remove all that the set-up made'
	@echo 'PYTHON=python3.12 names another Python (3.10 to 3.14)'

# Told while make reads this file, because a recipe that fails adds a line of make's own.
ifneq ($(filter setup demo test lint bench bench-graph bench-edge faults fuzz clock-kills bench-hardware,$(MAKECMDGOALS)),)
ifeq ($(shell command -v $(PYTHON)),)
$(error set-up: $(PYTHON) is missing: install Python 3.10 to 3.14)
endif
LACKING := $(shell $(PYTHON) tools/prerequisites.py 2>&1)
ifneq ($(LACKING),)
$(error $(LACKING))
endif
endif

setup:
	@$(PYTHON) tools/bootstrap.py

demo: setup
	@$(IN_ENVIRONMENT) visionscaling demo $(DEMO_OPTIONS)

test: setup
	@$(IN_ENVIRONMENT) pytest -n 2 --dist loadfile $(ARGS)

lint: setup
	@$(IN_ENVIRONMENT) ruff check && mypy

bench: setup
	@$(IN_ENVIRONMENT) visionscaling bench --traces '$(TRACES)' --seeds 3 --slots 1000 \
	  --json out/bench/standard.json
	@$(IN_ENVIRONMENT) visionscaling bench --seeds 1 --slots 20000 \
	  --policies visionscaling_meta,visionscaling --no-comparators --json out/bench/long.json
	@$(IN_ENVIRONMENT) visionscaling bench-decision --json out/bench/decision.json
	@$(IN_ENVIRONMENT) python -m visionscaling_ros.simulation.results_page out/bench docs

bench-graph: setup
	@$(IN_ENVIRONMENT) visionscaling bench-graph $(ARGS)

bench-edge: setup
	@$(IN_ENVIRONMENT) visionscaling bench-edge --json out/bench/edge.json --plot out/bench/edge $(ARGS)

faults: setup
	@$(IN_ENVIRONMENT) visionscaling faults $(if $(COUNT),--count '$(COUNT)') --json out/faults/faults.json $(ARGS)

fuzz: setup
	@$(IN_ENVIRONMENT) visionscaling fuzz-server $(if $(MINUTES),--minutes '$(MINUTES)') --json out/fuzz/fuzz.json $(ARGS)

clock-kills: setup
	@$(IN_ENVIRONMENT) visionscaling clock-kills --count '$(or $(COUNT),200)' --json out/clock-kills/clock-kills.json $(ARGS)

bench-hardware: setup
	@$(IN_ENVIRONMENT) visionscaling bench-hardware --json out/bench/hardware.json $(ARGS)

clean:
	rm -rf .venv build install log

# Everything a newcomer or CI runs, over plain python3, venv and pip.  `make help` lists it.
#
# Three environments, because the border between them is the project:
#   .venv         build machine: edge-pipeline and edge-runtime, editable, with the tools
#   .venv-device  device: the built edge-runtime wheel, numpy, onnxruntime, nothing else
#   .venv-bare    as the device, plus pytest, for tests/device
#   .venv-core    edge-runtime-core and the oldest numpy, plus pytest: a device without onnxruntime

PYTHON ?= python3
PYTEST_WORKERS ?= auto
PYTEST := .venv/bin/python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup
# COVERAGE=1 measures branch coverage on the quick tests, and fails below the floor in
# pyproject.toml.  The slow tests run without the tracer, which would add minutes.
PYTEST_COVERAGE := $(if $(COVERAGE),--cov --cov-report=term:skip-covered)

# A caller's Python settings must not leak into the three environments.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONWARNINGS VIRTUAL_ENV CONDA_PREFIX
unexport PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV PIP_EDITABLE CDPATH
# Text is UTF-8 whatever the locale.
export PYTHONUTF8 := 1

MODEL := dist/penguins.onnx
MODELS := dist/linear.onnx dist/fuel.onnx dist/penguins.onnx dist/digits.onnx dist/vibration.onnx
FIGURES := dist/training_vs_inference.json
WHEEL := dist/wheel/.stamp
BUILD := .venv/.stamp
DEVICE := .venv-device/.stamp
BARE := .venv-bare/.stamp
CORE := .venv-core/.stamp

PYPROJECTS := edge_runtime/pyproject.toml pipeline/pyproject.toml
RUNTIME_SOURCES := $(shell find edge_runtime/src -name '*.py')
PIPELINE_SOURCES := $(shell find pipeline/src -name '*.py')

# An environment knows its own path, so one that was moved with its clone is made anew.
$(shell for e in .venv .venv-device .venv-bare .venv-core; do \
    [ "$$(cat $$e/.stamp 2>/dev/null)" = "$$(pwd -P)" ] || rm -f $$e/.stamp; done)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-quick test-device test-core nightly fuzz docs bench scaling matrix slim pi-kit pi pi-page pi-quick check format clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo '  PYTHON=/path/to/python3.12 chooses the interpreter (3.11 or newer)'

setup: $(BUILD)  ## the build machine's environment, .venv
	@:

demo: $(MODEL) $(DEVICE) $(FIGURES)  ## train, seal, and predict where no scikit-learn is
	@sh tools/demo/on_device.sh $(MODEL)
	@.venv/bin/python benchmarks/training_vs_inference.py --show $(FIGURES)

test: $(BUILD) test-device $(if $(COVERAGE),test-quick)  ## every test; those of the device against its wheel first
	$(PYTEST) $(if $(COVERAGE),-m slow)

test-quick: $(BUILD)  ## the tests that are not marked slow, in under two minutes
	$(PYTEST) -m 'not slow' -q $(PYTEST_COVERAGE)

nightly: $(BUILD)  ## 300 random tables and pipelines against scikit-learn
	EDGE_RANDOM_PIPELINES=300 .venv/bin/python -m pytest -n $(PYTEST_WORKERS) -q \
	    tests/conformance/test_random_pipelines.py

MINUTES ?= 5
fuzz: $(BUILD)  ## MINUTES=5 of hostile bytes to everything that reads them (CONTRIBUTING.md)
	.venv/bin/python tools/fuzz.py --minutes $(MINUTES)

docs: $(MODELS)  ## the documentation site with the reports of models/, into dist/site
	@.venv/bin/python -c 'import mkdocs, mkdocstrings' 2>/dev/null || \
	    .venv/bin/python -m pip install --quiet -e './pipeline[docs]'
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet

test-device: $(BARE)  ## tests/device where only wheel, numpy, onnxruntime, pytest are
	.venv-bare/bin/python tools/prove_bare.py
	.venv-bare/bin/python -m pytest tests/device

test-core: $(CORE)  ## tests/device with numpy alone, its oldest release that works
	.venv-core/bin/python -m pytest tests/device

bench: $(MODELS) $(DEVICE)  ## measure everything on this machine; docs/performance.md shows it
	.venv/bin/python benchmarks/training_vs_inference.py --measure --repetitions 7 > $(FIGURES)
	@.venv/bin/python benchmarks/training_vs_inference.py --show $(FIGURES)
	.venv/bin/python benchmarks/latency.py --out benchmarks/results/latency.json
	.venv/bin/python benchmarks/batch.py --out benchmarks/results/batch.json
	.venv-device/bin/python benchmarks/cold_start.py --out benchmarks/results/cold_start.json
	.venv-device/bin/python benchmarks/memory.py --out benchmarks/results/memory.json
	.venv-device/bin/python benchmarks/memory_limit.py --out benchmarks/results/memory_limit.json
	.venv/bin/python benchmarks/parts.py --out benchmarks/results/parts.json
	.venv/bin/python benchmarks/footprint.py --device .venv-device/bin/python \
	    --build .venv/bin/python --out benchmarks/results/footprint.json
	.venv/bin/python benchmarks/performance.py

scaling: $(BUILD)  ## how export grows with rows, columns, trees, ...; in docs/export-cost.md
	.venv/bin/python benchmarks/export_scaling.py --out benchmarks/results/export_scaling.json
	.venv/bin/python benchmarks/performance.py

matrix: $(MODELS) $(WHEEL)  ## golden rows and device tests with every Python and onnxruntime here
	$(PYTHON) tools/matrix.py dist/wheel/*.whl $(MODELS) --out dist/matrix.json

slim: $(MODELS)  ## a slim runtime of this machine: golden rows, the device's tests (docs/kit.md)
	.venv/bin/python tools/prove_slim.py $(MODELS)

pi-kit: $(BUILD)  ## kits and deployments on an emulated Raspberry Pi (docs/kit.md)
	.venv/bin/python tools/pi/kits.py

pi: $(MODELS) $(WHEEL)  ## the device's tests on emulated Raspberry Pis (docs/arm.md)
	.venv/bin/python tools/pi/suite.py dist/wheel/*.whl --families .pi/families --out dist/arm.json
	.venv/bin/python tools/pi/follow.py

pi-page: $(BUILD)  ## docs/raspberry-pi.md, word for word, with a fresh card
	.venv/bin/python tools/pi/follow.py

pi-quick: $(MODELS) $(WHEEL)  ## a part of that, on one board
	.venv/bin/python tools/pi/suite.py dist/wheel/*.whl --quick

check: $(BUILD)  ## ruff, mypy --strict, import contracts, names and sentences
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy
	.venv/bin/lint-imports
	.venv/bin/python tools/readability.py --check

format: $(BUILD)  ## let ruff rewrite what `make check` would complain of
	.venv/bin/python -m ruff check --fix .
	.venv/bin/python -m ruff format .

clean:  ## remove environments, wheels, models and caches
	rm -rf .venv .venv-device .venv-bare .venv-core .matrix .pi .cache dist .pytest_cache .mypy_cache .ruff_cache
	rm -rf .import_linter_cache .hypothesis .fuzz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BUILD): $(PYPROJECTS) tools/setup.sh
	@PYTHON='$(PYTHON)' sh tools/setup.sh .venv -e ./edge_runtime -e './pipeline[dev]'

$(WHEEL): $(BUILD) $(RUNTIME_SOURCES) edge_runtime/pyproject.toml edge_runtime/README.md
	@rm -rf dist/wheel
	.venv/bin/python -m pip wheel --quiet --no-deps --wheel-dir dist/wheel ./edge_runtime
	@touch $@

$(DEVICE): $(WHEEL)
	@PYTHON='$(PYTHON)' sh tools/setup.sh .venv-device dist/wheel/*.whl

$(BARE): $(WHEEL)
	@PYTHON='$(PYTHON)' sh tools/setup.sh .venv-bare dist/wheel/*.whl pytest

$(CORE): edge_runtime/core/pyproject.toml $(BUILD) $(RUNTIME_SOURCES)
	@rm -rf dist/core
	.venv/bin/python -m pip wheel --quiet --no-deps --wheel-dir dist/core ./edge_runtime/core
	@PYTHON='$(PYTHON)' sh tools/setup.sh .venv-core dist/core/*.whl pytest \
	    "$$($(PYTHON) -c 'import sys; print("numpy==1.24.4" if sys.version_info < (3, 12) else "numpy")')"

$(MODELS): dist/%.onnx: $(BUILD) $(wildcard models/*/*) $(PIPELINE_SOURCES) $(RUNTIME_SOURCES)
	.venv/bin/edge-pipeline build models/$*

$(FIGURES): $(MODEL) $(DEVICE) benchmarks/training_vs_inference.py
	@echo 'Measuring training against inference on this machine ...'
	@.venv/bin/python benchmarks/training_vs_inference.py --measure > $@

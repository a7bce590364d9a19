# make repro   build the data set with the default profile, on real models
# make test    all tests        make check   ruff, mypy and the quick tests      make slow   the other tests
# make setup   only .venv       make bench   benchmarks, one JSON line each
#
# Each makes .venv first, with Python 3.11 and everything that is needed.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRA := $(if $(shell command -v nvidia-smi),gpu,cpu)
# Where PyTorch's CPU builds are, if pip as it is configured does not find them.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
export PATH := $(abspath $(BIN)):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: repro test slow check setup bench clean
.DEFAULT_GOAL := repro

repro: $(STAMP)
	@python -m pipeline check
	@dvc repro
	@python -m pipeline status

# Two tests at a time; those with a real model one after another, as each wants both cores.
test: $(STAMP)
	@python -m pytest -n 2 -m "not slow"
	@$(MAKE) --no-print-directory slow

slow: $(STAMP)
	@python -m pytest -n 2 --dist loadscope -m "slow and not real"
	@python -m pytest -m real

check: $(STAMP)
	@ruff check .
	@ruff format --check .
	@mypy
	@python -m pytest -q -n 2 -m "not slow"

setup: $(STAMP)

bench: $(STAMP)
	@python -m pipeline models
	@for script in bench/*.py; do python $$script || exit 1; done

# torchvision, torchaudio and torchcodec come with vllm but do not fit the CPU build of torch, and nothing here needs them.
$(STAMP): setup.py
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed; install Python 3.11, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -d $(VENV) || test "$$(df -Pk . | awk 'NR == 2 {print $$4}')" -gt 6000000 \
	  || { echo "error: less than 6 GB are free here: make room, as the environment needs 4.5 GB, and the models 4.4 GB more"; exit 1; }
	@echo "Installing into $(VENV) with the extra [$(EXTRA)]: 1 to 3 minutes, about 4.5 GB …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@pip install -qq --editable '.[$(EXTRA),sandbox,dev]' || { test $(EXTRA) = cpu \
	  && echo "Trying again with torch from PyTorch's own index …" \
	  && pip install -qq 'torch==2.13.*' --index-url $(TORCH_CPU_INDEX) \
	  && pip install -qq --editable '.[cpu,sandbox,dev]'; }
	@test $(EXTRA) = gpu || pip uninstall -qq --yes torchvision torchaudio torchcodec
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

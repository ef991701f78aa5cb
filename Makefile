# make check   fresh machine -> environment, the quick tier, results/report.html and the settings cards
# make test    fresh machine -> environment, proofs, tests and notebooks
# make lab     JupyterLab on notebooks/
#
# TORCH names the build of PyTorch, any argument of pip: a version, a wheel file, or "torch==2.13.0 --index-url ...".

TORCH  ?= torch==2.13.0
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
export OMP_NUM_THREADS ?= 1

.PHONY: check test lab install clean

check: $(VENV)/.core
	$(BIN)/sandbox check --tier quick --out results

test: $(VENV)/.all
	$(BIN)/python -m pytest proofs tests

lab: $(VENV)/.all
	$(BIN)/jupyter lab notebooks

install: $(VENV)/.all

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if v >= (3, 11) else f"Python 3.11 or newer is needed, {sys.executable} is {v[0]}.{v[1]}; name another with make PYTHON=/path/to/python")'
	$(PYTHON) -m venv $(VENV)

# On Linux the default wheel of PyTorch brings CUDA, some gigabytes. Say so before the download where nothing could use it.
$(VENV)/.torch: $(VENV)/bin/python
	@if [ "$$(uname -s)" = Linux ] && [ "$(origin TORCH)" = file ] && ! command -v nvidia-smi >/dev/null 2>&1 \
	  && ! $(PIP) install -q --dry-run --no-index --no-deps "$(TORCH)" >/dev/null 2>&1; then \
	  echo "Hint: no NVIDIA driver was found here, and $(TORCH) may download gigabytes of CUDA libraries."; \
	  echo "      The CPU build is much smaller: stop here (Ctrl-C) and see \"PyTorch's CPU build\" in README.md."; \
	  sleep 3; \
	fi
	$(PIP) install -q --constraint constraints.txt $(TORCH)
	@touch $@

$(VENV)/.core: $(VENV)/.torch pyproject.toml constraints.txt
	$(PIP) install -q --constraint constraints.txt --editable .
	@touch $@

# curvlinops names torchvision and backpack as needs; it works without them, and torchvision must never be installed here.
$(VENV)/.all: $(VENV)/.core
	$(PIP) install -q --constraint constraints.txt --editable ".[notebooks,curvature,peers,scale,dev]"
	$(PIP) install -q --constraint constraints.txt --no-deps curvlinops-for-pytorch
	@touch $@

clean:
	rm -rf $(VENV) results build

# The two commands: `make demo` and `make test`. Both set up what they need first.
PYTHON ?= python3
PIP = -m pip install --quiet --disable-pip-version-check -c constraints.txt
OLDEST_DATASETS = 3.6.0
REAL = $(wildcard ../shared/real)
JOBS ?= 2
PARALLEL = -n $(JOBS) --dist worksteal

.PHONY: demo test lint bench clean

demo: $(or $(wildcard .venv/ready),.venv/demo)
	.venv/bin/medimeta demo --out demo

# One thread per worker: two workers that each start a thread per core wait for each other.
test: export OMP_NUM_THREADS = 1
test: .venv/ready .venv-oldest/ready
	.venv/bin/pytest $(PARALLEL)
	.venv-oldest/bin/pytest $(PARALLEL) tests/test_medimeta.py tests/upload \
		tests/learn/data/test_views.py tests/learn/episodes/test_episode_hub.py

# Run in the package's own layout: in the bare checkout, tools would find `medimeta.py` and nothing else.
lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	cd .editable && ../.venv/bin/lint-imports ../pyproject.toml --no-cache
	cd .editable && ../.venv/bin/mypy --config-file ../pyproject.toml -p medimeta

# The demo needs less than the tests do, and a newcomer should not wait for the rest.
.venv/demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) -e '.[train]'
	touch $@

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) -e '.[dev]'
	touch $@

# The lowest supported `datasets`, without torch: what reads and writes data must work there too.
.venv-oldest/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python $(PIP) -e '.[build]' datasets==$(OLDEST_DATASETS) 'pytest>=8.2' 'pytest-xdist>=3.6'
	touch $@

# `make bench PEER=1` also measures the published loader, whose own environment takes 5.5 GB.
bench: .venv/ready $(if $(PEER),.venv-peer/ready)
	.venv/bin/python benchmarks/run.py $(REAL:%=--real %) $(if $(PEER),--peer .venv-peer/bin/python)

.venv-peer/ready:
	$(PYTHON) -m venv .venv-peer
	.venv-peer/bin/python -m pip install --quiet medimeta==0.0.6 torchcross==0.0.6 torchvision medmnist==3.0.2
	touch $@

clean:
	rm -rf .editable .venv .venv-oldest .venv-peer build dist demo

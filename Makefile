# The two commands: `make demo` and `make test`. Both set up what they need first.
PYTHON ?= python3
PIP = -m pip install --quiet --disable-pip-version-check
JOBS ?= 2
PARALLEL = -n $(JOBS) --dist worksteal
QUICK = not slow and not e2e and not browser and not peer and not clients
REAL = $(wildcard ../shared/real)
# One thread per worker: two workers that each start a thread per core wait for each other.
test test-all test-lowest test-encoders test-clients: export OMP_NUM_THREADS = 1

.PHONY: demo test test-all test-lowest test-encoders test-clients lint docs bench clean

demo: $(or $(wildcard .venv/ready),.venv/demo)
	.venv/bin/medimeta demo --out demo

test: .venv/ready
	.venv/bin/pytest $(PARALLEL) -m "$(QUICK)"

# `make test-all COV=--cov` also measures which lines are tested.
test-all: .venv/ready docs test-lowest
	.venv/bin/pytest $(PARALLEL) $(COV)

# The lowest version of every dependency, and no torch: what reads, builds and pushes must work there, too.
test-lowest: .venv-lowest/ready
	.venv-lowest/bin/pytest $(PARALLEL) -m "$(QUICK)" tests/test_medimeta.py tests/builders tests/cards tests/files \
		tests/upload tests/learn/data/test_views.py

# timm and open_clip need a torchvision, and so a torch, of their own: 6 GB and two to three minutes to install.
test-encoders: .venv-encoders/ready
	.venv-encoders/bin/pytest $(PARALLEL) tests/learn/encoders/test_checkpoints.py tests/learn/encoders/test_libraries.py \
		tests/learn/experiments/test_architectures.py

# Other libraries that read a Hub folder; some need a torch, or a protobuf, of their own.
test-clients: .venv-clients/ready
	.venv-clients/bin/pytest -m clients tests/clients tests/upload/test_foreign_folders.py

# In .editable, as in an installed package: in the bare checkout, tools would find `medimeta.py` and nothing else.
lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	cd .editable && ../.venv/bin/lint-imports ../pyproject.toml --no-cache
	cd .editable && ../.venv/bin/mypy --config-file ../pyproject.toml -p medimeta
	mkdir -p build && ln -sfn ../.editable/medimeta build/medimeta
	.venv/bin/pyright --pythonpath .venv/bin/python

docs: .venv/ready
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

# The demo needs less than the tests do, and a newcomer should not wait for the rest.
.venv/demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) -c constraints.txt -e '.[train]'
	touch $@

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) -c constraints.txt -e '.[dev]'
	touch $@

.venv-lowest/ready: pyproject.toml tests/lowest.py
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python tests/lowest.py build > .venv-lowest/constraints.txt
	.venv-lowest/bin/python $(PIP) -c .venv-lowest/constraints.txt -e '.[build]' pytest pytest-xdist hypothesis
	touch $@

.venv-encoders/ready: pyproject.toml
	$(PYTHON) -m venv .venv-encoders
	.venv-encoders/bin/python $(PIP) torch==2.14.1 torchvision==0.29.1
	.venv-encoders/bin/python $(PIP) -e '.[timm,open-clip,peft]' pytest pytest-xdist hypothesis
	touch $@

.venv-clients/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python $(PIP) -c constraints.txt -e '.[build,train]' pytest pytest-xdist hypothesis \
		mteb inspect-ai 'ray[data]' polars duckdb 'dask[dataframe]' mlcroissant
	touch $@

# `make bench PEER=1` also measures the published loader, whose own environment takes 5.5 GB.
bench: .venv/ready $(if $(PEER),.venv-peer/ready)
	.venv/bin/python benchmarks/run.py $(REAL:%=--real %) $(if $(PEER),--peer .venv-peer/bin/python)

.venv-peer/ready:
	$(PYTHON) -m venv .venv-peer
	.venv-peer/bin/python -m pip install --quiet medimeta==0.0.6 torchcross==0.0.6 torchvision medmnist==3.0.2
	touch $@

clean:
	rm -rf .editable .venv .venv-lowest .venv-encoders .venv-clients .venv-peer build dist demo site

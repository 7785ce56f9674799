# Every command sets up what it needs: a virtual environment, made once and brought up to date when the lists change.

PYTHON ?= python3
VENV ?= .venv
DOMAIN ?= photo2painting
METHOD ?= cyclegan
RUN ?= runs/$(DOMAIN)/$(METHOD)
OUT ?= translated
COMPARISON ?= baselines
STYLIZER ?= $(if $(filter adain,$(METHOD)),experiments/adain/public.yaml,experiments/gatys/best.yaml)
PORT ?= 6006
SIZE ?= nightly
ARGS ?=

BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
READY_DEMO := $(VENV)/.ready-demo
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help train tensorboard translate demo stylize compare evaluate data show figure notebook bench test test-all faults docs lint format clean

help:         ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "variables: DOMAIN=$(DOMAIN) METHOD=$(METHOD) RUN=$(RUN) ARGS='--set seed=1'"

train: $(READY)        ## train DOMAIN with METHOD, or continue; then score it; X=photos Y=paintings: two folders of one's own; STYLES= a folder of style images
	@test -n "$(X)" -a -n "$(Y)" -o -z "$(X)$(Y)" || { echo "usage: make train X=photos Y=paintings: give both" >&2; exit 2; }
	$(BIN)/cyclegan train $(if $(X)$(Y),--x "$(X)" --y "$(Y)",experiments/$(METHOD)/$(DOMAIN).yaml) $(if $(STYLES),--styles "$(STYLES)") $(ARGS)

tensorboard: $(READY)  ## watch all runs at http://localhost:6006 (PORT=)
	$(BIN)/tensorboard --logdir runs --port $(PORT) --samples_per_plugin images=200,scalars=5000 --reload_interval 15

translate: $(READY)    ## translate the pictures IN= with RUN into OUT= (TO= the side's name)
	@test -n "$(IN)" || { echo "usage: make translate IN=photos [OUT=translated] [TO=painting] [RUN=...]" >&2; exit 2; }
	$(BIN)/cyclegan translate "$(RUN)" "$(IN)" --out "$(OUT)" $(if $(TO),--to "$(TO)")

demo: $(READY_DEMO)    ## try RUN on your own pictures, at http://localhost:7860; ARGS= more models, or --port 8000
	$(BIN)/cyclegan serve "$(RUN)" $(ARGS)

stylize: $(READY)      ## paint CONTENT= like STYLE= into OUT (METHOD=gatys; adain with RUN= a trained one)
	@test -n "$(CONTENT)" -a -n "$(STYLE)" || { echo "usage: make stylize CONTENT=photo.jpg STYLE=painting.jpg [METHOD=gatys|adain]" >&2; exit 2; }
	$(BIN)/cyclegan translate "$(STYLIZER)" "$(CONTENT)" --style "$(STYLE)" --out "$(OUT)"

compare: $(READY)      ## the same images through many methods: one image grid, one table (COMPARISON=baselines)
	$(BIN)/cyclegan compare experiments/compare/$(COMPARISON).yaml $(ARGS)

evaluate: $(READY)     ## score RUN on the test pictures of its domain
	$(BIN)/cyclegan evaluate "$(RUN)"

data: $(READY)         ## list all domains; with FETCH= or CHECK= a domain: download it, look at every picture
	$(BIN)/cyclegan data $(if $(FETCH),fetch $(FETCH),$(if $(CHECK),check $(CHECK),list))

show: $(READY)         ## print the resolved settings of DOMAIN and METHOD
	$(BIN)/cyclegan show experiments/$(METHOD)/$(DOMAIN).yaml $(ARGS)

figure: $(READY)       ## the picture of the README, made with RUN; NAME=tradeoff, …: those of the papers; trust
	$(BIN)/python experiments/figures/$(if $(filter trust,$(NAME)),trust.py "$(RUN)",$(if $(NAME),papers.py $(NAME) $(ARGS),readme.py "$(RUN)"))

notebook: $(READY)     ## open the notebooks; they look at RUN, if it is there
	@test -x $(BIN)/jupyter-lab || $(INSTALL) jupyterlab
	CYCLEGAN_NOTEBOOK_RUN="$(if $(filter /%,$(RUN)),,$(CURDIR)/)$(RUN)" $(BIN)/jupyter lab notebooks

bench: $(READY)        ## measure the speed against plain code; benchmarks/results has what was measured
	$(BIN)/python benchmarks/run.py $(ARGS)

test: $(READY_DEV)     ## fast tests, a few minutes on two cores
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist worksteal $(ARGS)

test-all: $(READY_DEV) ## all tests, the slow ones too
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist worksteal -m "not gpu" $(ARGS)

faults: $(READY_DEV)   ## kill it, damage its files, fill the disk: one line a fault, with its figure (SIZE=change: less of each)
	CYCLEGAN_FAULTS=$(SIZE) OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist loadfile -m "not gpu" tests/faults $(ARGS)

docs: $(READY_DEV)     ## the documentation as a site, in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

lint: $(READY_DEV)     ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY_DEV)   ## bring the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:        ## remove the environment and the caches; runs and data sets stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.txt pyproject.toml
	@echo "setting up $(VENV): the first time this downloads PyTorch (several GB)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -r requirements.txt
	$(INSTALL) --no-deps --editable .
	@touch $@

$(READY_DEMO): requirements-demo.txt $(READY)
	$(INSTALL) -r requirements-demo.txt
	@touch $@

$(READY_DEV): requirements-dev.txt requirements-demo.txt requirements-docs.txt requirements-export.txt requirements-heif.txt requirements-video.txt $(READY)
	$(INSTALL) -r requirements-dev.txt
	@touch $@

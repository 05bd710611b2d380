# Each target does its own set-up: a virtual environment in .venv, made once.
PYTHON ?= python3
BIN := .venv/bin
SEEDS := 5
MUTANTS := 10000

.PHONY: ablation acceptance calibration recognisable demo test lint fuzz kills bench gpu simulator results strongest beginning black-box prior membership speakers streams cifar10 screenshot notebooks docs clean

demo: .venv/run
	$(BIN)/brainleaks run demo

test: .venv/dev lint
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# every reader of a stranger's file on fresh mutants; the compiled loops check every index
fuzz: .venv/dev
	NUMBA_BOUNDSCHECK=1 $(BIN)/pytest tests/data/test_bounds.py tests/data/test_events.py
	BRAINLEAKS_FUZZ=$(MUTANTS) $(BIN)/pytest tests/fuzz tests/report/test_altered_runs.py -n auto

kills: .venv/dev
	BRAINLEAKS_KILLS=34 $(BIN)/pytest tests/pipeline/test_kills.py

bench: .venv/dev
	$(BIN)/python benchmarks/bench.py

# needs a CUDA device, and a build of torch that has it
gpu: .venv/dev
	$(BIN)/python benchmarks/gpu_bench.py

simulator: .venv/dev
	$(BIN)/python benchmarks/simulator.py

ablation: .venv/run
	$(BIN)/python benchmarks/ablation.py

results: .venv/run
	$(BIN)/brainleaks run paper --seeds $(SEEDS)

# hundreds of small audits in which the right answer is known
calibration: .venv/run
	$(BIN)/brainleaks calibrate

# from which likeness on people recognise a reconstruction
recognisable: .venv/run
	$(BIN)/python benchmarks/recognisable.py

strongest: .venv/run
	$(BIN)/brainleaks run strongest --seeds $(SEEDS)

# networks of several frameworks from random seeds, and their initial weights from the trained ones
beginning: .venv/dev
	$(BIN)/python benchmarks/beginning.py

black-box: .venv/run
	$(BIN)/brainleaks run black-box --seeds $(SEEDS)

membership: .venv/run
	$(BIN)/brainleaks run membership --seeds $(SEEDS)

speakers: .venv/run
	$(BIN)/brainleaks run speakers --seeds 1

streams: .venv/run
	$(BIN)/brainleaks run streams --seeds $(SEEDS)

cifar10: .venv/run
	$(BIN)/brainleaks run cifar10 --seeds 1

prior: .venv/run
	$(BIN)/brainleaks run prior --seeds $(SEEDS)

# every framework's networks, trained on real data and audited
acceptance: .venv/dev
	$(BIN)/python benchmarks/acceptance.py

screenshot: .venv/dev
	$(BIN)/brainleaks run faces-snn
	$(BIN)/python benchmarks/screenshot.py runs/faces-snn-seed0/report.html docs/images/report.png

notebooks: .venv/dev
	$(BIN)/python notebooks/render.py

docs: .venv/dev
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

# torch first and by its exact version, so that nothing else picks another build
.venv/run: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("brainleaks needs Python 3.11 or newer; call make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q $$(grep '^torch==' constraints.txt)
	$(BIN)/pip install -q -c constraints.txt -e .
	touch $@

# Without torchvision, tensorboard, samna and the like, which their examples and chips need
.venv/dev: .venv/run
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	$(BIN)/pip install -q -c constraints.txt --no-deps norse spikingjelly sinabs rockpool pbr
	touch $@

clean:
	rm -rf .venv runs

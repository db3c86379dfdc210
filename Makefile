# Firesteel's build: cargo builds the native library and sbt the jars. This file rebuilds each when its sources have
# changed. `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
# cargo, sbt and pytest each take all cores: never two at once, but for the lanes of `make test`.
ifndef LANES
.NOTPARALLEL:
endif
.DEFAULT_GOAL := help
.PHONY: help setup setup-demo setup-test native jar natives-jar dist wheel docs punchcard demo example learn test check \
        soak new-times lane-rust lane-jvm licenses lint lint-source lint-crates lint-rust lint-python lint-scala test-rust \
        test-scala test-python test-e2e format bench clean

export LIBTORCH ?= $(CURDIR)/build/libtorch
export FIRESTEEL_PYTHON ?= $(CURDIR)/build/venv-test/bin/python

step := scripts/step.sh
target := $(or $(CARGO_TARGET_DIR),target)
library := $(target)/release/libfiresteel.so
plugin_jar := build/firesteel.jar
examples_jar := build/firesteel-examples.jar
e2e_jar := build/firesteel-e2e.jar
class_archive := $(CURDIR)/build/spark-classes.jsa
short_jvm_flags := -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m -XX:-UsePerfData \
                   -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote
punchcard := build/firesteel-punchcard
natives_jar := build/firesteel-libtorch-cpu-linux-x86_64.jar
test_bin := build/venv-test/bin
python := spark-plugin/python
wheels := build/.stamps/wheels

# $(call files,FOLDERS,NAME-TESTS): every file below the folders that passes find's tests.
files = $(shell find $(wildcard $(1)) -type f $(2) 2>/dev/null)
rust_sources := Cargo.toml $(wildcard Cargo.lock .cargo/config.toml native/*/build.rs) \
                $(call files,native/*/src native/*/Cargo.toml)
punchcard_sources := Cargo.toml native/punchcard/Cargo.toml $(call files,native/punchcard/src native/punchcard/migrations \
                       native/punchcard/templates native/punchcard/static)
sbt_sources := build.sbt project/build.properties project/plugins.sbt LICENSE NOTICE licenses/rust-crates.txt
jvm_sources := $(call files,spark-plugin/src/main)
program_sources := $(call files,examples/src/main tests/apps/src/main)
python_sources := $(call files,$(python)/firesteel $(python)-libtorch-cpu,-not -name '*.pyc') \
                  $(wildcard $(python)/pyproject.toml $(python)/README.md)
stub_sources := $(wildcard native/stubs/*)
license_sources := LICENSE NOTICE $(call files,licenses)
# The releases of Spark for the tests, beside the one of the demo and of venv-test.
spark_venvs := $(patsubst scripts/requirements/%.txt,venv-%,$(wildcard scripts/requirements/spark-*.txt))

help: ## List the targets
	@echo "Firesteel: deep learning on Apache Spark. Usage: make TARGET"
	@sed -n 's/^\([a-z-]*\):[^#]*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16

## ---------------------------------------------------------------------------------------------- set-up
# A stamp in build/ records that a step is done. It does not count if its result is gone (a cleaned cache).

stamps := build/.stamps
gone := $(if $(wildcard build/libtorch/build-version),,libtorch stubs) \
        $(if $(wildcard build/venv/.complete),,venv) \
        $(if $(wildcard build/venv-test/.complete),,venv-test) \
        $(if $(wildcard build/venv-wheel/.complete),,venv-wheel) \
        $(if $(wildcard build/venv-docs/.complete),,venv-docs) \
        $(if $(wildcard build/venv-api/.complete),,venv-api) \
        $(if $(wildcard dist/*.whl),,wheels) \
        $(if $(wildcard build/hadoop/lib/*.jar),,hadoop) \
        $(foreach venv,$(spark_venvs),$(if $(wildcard build/$(venv)/.complete),,$(venv))) \
        $(if $(wildcard build/stubs/libcudart.so.13),,stubs)
$(shell mkdir -p $(stamps); cd $(stamps); rm -f $(gone))

setup: setup-demo ## Check the prerequisites; fetch libtorch and Spark, once
setup-demo: $(stamps)/prerequisites $(stamps)/libtorch $(stamps)/stubs $(stamps)/venv
setup-test: setup-demo $(stamps)/prerequisites-test $(stamps)/venv-test $(stamps)/venv-api $(spark_venvs:%=$(stamps)/%)

$(stamps)/prerequisites: scripts/prerequisites.sh
	@$(step) "Prerequisites" scripts/prerequisites.sh
	@touch $@

$(stamps)/prerequisites-test: scripts/prerequisites.sh
	@$(step) "Prerequisites of the tests" scripts/prerequisites.sh test
	@touch $@

$(stamps)/libtorch: scripts/libtorch.sh scripts/versions.sh | $(stamps)/prerequisites
	@$(step) "libtorch for the CPU" scripts/libtorch.sh
	@touch $@

$(stamps)/stubs: scripts/stubs.sh $(stub_sources) $(stamps)/libtorch
	@$(step) "Stubs of CUDA libraries" scripts/stubs.sh
	@touch $@

$(stamps)/venv: scripts/venv.sh scripts/requirements/demo.txt | $(stamps)/prerequisites
	@$(step) "Spark for the demo" scripts/venv.sh demo venv
	@touch $@

$(stamps)/venv-spark-%: scripts/venv.sh scripts/requirements/spark-%.txt | $(stamps)/prerequisites
	@$(step) "Spark $* for the tests" scripts/venv.sh spark-$* venv-spark-$*
	@touch $@

$(stamps)/venv-test: scripts/venv.sh scripts/requirements/test.txt | $(stamps)/prerequisites
	@$(step) "Spark and PyTorch for the tests (4.7 GB, once)" scripts/venv.sh test venv-test
	@touch $@

$(stamps)/venv-wheel: scripts/venv.sh scripts/requirements/wheel.txt | $(stamps)/prerequisites
	@$(step) "Tools that build wheels" scripts/venv.sh wheel venv-wheel
	@touch $@

$(stamps)/venv-api: scripts/venv.sh scripts/requirements/api.txt | $(stamps)/prerequisites
	@$(step) "Tools that test the job server's interface" scripts/venv.sh api venv-api
	@touch $@

$(stamps)/venv-docs: scripts/venv.sh scripts/requirements/docs.txt | $(stamps)/prerequisites
	@$(step) "Tools of the documentation site" scripts/venv.sh docs venv-docs
	@touch $@

$(stamps)/hadoop: build.sbt project/build.properties | $(stamps)/prerequisites
	@$(step) "Servers of Hadoop for the tests" scripts/sbt --error hadoop/fetch
	@touch $@

## ---------------------------------------------------------------------------------------------- build

native: $(library) ## Build libfiresteel.so
jar: $(plugin_jar) ## Build build/firesteel.jar and the jars of the examples and test programs
punchcard: $(punchcard) ## Build build/firesteel-punchcard, the job server
natives-jar: $(natives_jar) ## Pack libtorch as a jar, for executors with nothing installed

$(library): $(rust_sources) $(stamps)/libtorch
	@$(step) "Native library" cargo build --release -p firesteel-bridge
	@touch $@

sbt_jars := firesteel/assembly examples/package e2e/package

$(plugin_jar) $(examples_jar) $(e2e_jar) &: $(library) $(stamps)/stubs $(sbt_sources) $(jvm_sources) $(program_sources)
	@$(step) "Jars" scripts/sbt --error $(sbt_jars)
	@touch $(plugin_jar) $(examples_jar) $(e2e_jar)

$(class_archive): scripts/class_archive.sh $(stamps)/venv | $(plugin_jar)
	@$(step) "Archive of Spark's classes" scripts/class_archive.sh $@ $(short_jvm_flags)

$(punchcard): $(punchcard_sources)
	@$(step) "Job server" cargo build --profile server -p firesteel-punchcard
	@cp -f $(target)/server/firesteel-punchcard $@

$(natives_jar): scripts/natives_jar.py $(license_sources) $(stamps)/libtorch $(stamps)/stubs
	@$(step) "Natives jar" python3 scripts/natives_jar.py --libtorch build/libtorch --stubs build/stubs --output $@

dist: $(plugin_jar) $(natives_jar) $(punchcard) ## Put the jars with their Maven coordinates, and the job server, into dist/
	@$(step) "Distribution" scripts/dist.sh

wheel: $(wheels) ## Build the wheels of the Python package and of libtorch, into dist/

docs: $(stamps)/libtorch $(stamps)/venv-docs ## Build the documentation site in site/, with the API of each language
	@$(step) "Documentation site" scripts/docs.sh

$(wheels): scripts/wheel.sh $(license_sources) $(stamps)/venv-wheel $(plugin_jar) $(natives_jar) $(punchcard) \
           $(python_sources)
	@$(step) "Wheels" scripts/wheel.sh
	@touch $@

## ---------------------------------------------------------------------------------------------- run

demo: setup-demo $(plugin_jar) $(examples_jar) ## Train MNIST inside Spark on two executors
	@$(step) "MNIST on two executors" scripts/demo.sh

example: setup-test $(plugin_jar) $(examples_jar) ## Run an example: make example NAME=flights ARGS='--epochs 2'
	@scripts/example.sh $(NAME) $(ARGS)

learn: setup-test $(plugin_jar) $(examples_jar) ## Measure learning beside PyTorch; writes tables and a plot to docs/
	@$(step) "Learning beside PyTorch" scripts/learn.sh

bench: setup-test $(plugin_jar) ## Measure beside PyTorch and print a table of ratios
	@$(step) "Benchmarks" scripts/bench.sh

## ---------------------------------------------------------------------------------------------- check

# The seconds of each step, printed at the end.
times := $(CURDIR)/build/times.tsv
# JVMs of the tests live for seconds: the second compiler of HotSpot would cost them more than it gains.
# Most of the rest is reading and verifying Spark's classes, which an archive of them saves; a JVM that it does not fit,
# such as that of another release of Spark, runs without it and says nothing. The suites of Scala verify our classes.
short_jvm := JAVA_TOOL_OPTIONS="$(short_jvm_flags) -XX:SharedArchiveFile=$(class_archive) -Xlog:cds=off \
             -Xlog:cds+dynamic=off"

# Threads of PyTorch and MKL wait for each other by spinning, which takes the cores from the tests beside them. Fits and
# predictions set the number of theirs.
test-rust test-python test-e2e: export OMP_NUM_THREADS := 1

# Suites that need no Spark, or little of it.
scala_unit := firesteel.params.* firesteel.network.* firesteel.plugin.* firesteel.summary.* firesteel.cluster.*

test: export FIRESTEEL_TIMES := $(times)
# What is compiled once gains nothing from the bookkeeping of what to compile again.
test: export CARGO_INCREMENTAL := 0
test: new-times setup-test lint-source ## Every check and every test, as CI runs them
	@$(MAKE) -j 2 --output-sync=target LANES=1 lane-rust lane-jvm
	@$(MAKE) test-python test-e2e
	@scripts/times.sh $(times)
	@echo "==> All checks and tests passed"

# cargo leaves a core idle at the end of each chain of crates and while tests wait, sbt while it loads, mypy always. Two
# lanes at a time use it: cargo locks target/debug and target/release each on its own.
lane-rust:
	@$(MAKE) LANES= lint-crates test-rust $(punchcard) natives-jar lint-python
lane-jvm:
	@$(MAKE) LANES= test-scala $(class_archive)

check: export FIRESTEEL_TIMES := $(times)
check: new-times setup-test lint-source lint-rust lint-python $(library) ## The format, lint and unit tests of a day's work, in minutes
	@$(linting) $(step) "Unit tests of Rust" cargo test --quiet $(engine) --lib
	@$(step) "Format, lint and unit tests of Scala" scripts/sbt $(lint_scala) "firesteel/testOnly $(scala_unit)"
	@$(step) "Unit tests of Python" $(test_bin)/pytest -q tests/test_source_checks.py $(python)/tests/test_torch_layers.py
	@scripts/times.sh $(times)

new-times:
	@mkdir -p build && date +%s > $(times).start && rm -f $(times)

lint: setup-test lint-source lint-rust lint-python lint-scala ## Check format and lint of Rust, Scala and Python

lint-source:
	@$(step) "Module cycles" scripts/module_cycles.py
	@$(step) "First lines of documentation" scripts/doc_first_lines.py

# The job server has a profile of its own, and its tests run in it: what it depends on is compiled once.
engine := --workspace --exclude firesteel-punchcard
server := --profile server -p firesteel-punchcard

# clippy-driver is rustc with lints: one that compiles as well makes the tests' programs, and a lint of its own, which
# reads all dependencies anew, is only for a day's work.
linting := RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__

lint-crates:
	@$(step) "Format of Rust" cargo fmt --all --check
	@$(step) "Licenses of Rust crates" scripts/rust_licenses.py --check

lint-rust: lint-crates $(stamps)/libtorch
	@$(step) "Lint of Rust" cargo clippy --quiet $(engine) --all-targets -- -D warnings
	@$(step) "Lint of the job server" cargo clippy --quiet $(server) --all-targets -- -D warnings

lint-python: $(stamps)/venv-test
	@$(step) "Lint of Python" $(test_bin)/ruff check --quiet
	@$(step) "Format of Python" $(test_bin)/ruff format --check --quiet
	@$(step) "Types of Python" $(test_bin)/mypy --no-error-summary

lint_scala := scalafmtSbtCheck scalafmtCheckAll "scalafixAll --check"

lint-scala: $(stamps)/prerequisites
	@$(step) "Format and lint of Scala" scripts/sbt $(lint_scala)

test-rust: $(stamps)/stubs $(stamps)/venv-test
	@$(linting) $(step) "Lint of Rust and build of its tests" cargo test --quiet $(engine) --all-targets --no-run
	@$(linting) $(step) "Tests of Rust" cargo test --quiet $(engine)
	@$(linting) $(step) "Lint of the job server and build of its tests" cargo test --quiet $(server) --all-targets --no-run
	@$(linting) $(step) "Tests of the job server" cargo test --quiet $(server)

# One start of sbt for the checks, the suites and what the other tests need.
test-scala: $(library) $(stamps)/stubs
	@$(step) "Format, lint and suites of Scala, and jars" scripts/sbt $(lint_scala) test $(sbt_jars) hadoop/fetch
	@touch $(plugin_jar) $(examples_jar) $(e2e_jar) $(stamps)/hadoop

test-python: setup-test $(plugin_jar) $(wheels) $(class_archive)
	@PATH="$(CURDIR)/$(test_bin):$$PATH" $(short_jvm) $(step) "Suites of Python" $(test_bin)/pytest -q -n 2 --dist loadfile $(python)/tests

# Four at a time on two cores: one test's sockets and processes wait while others compute.
test-e2e: setup-test $(stamps)/hadoop $(plugin_jar) $(punchcard) $(natives_jar) $(class_archive)
	@PATH="$(CURDIR)/$(test_bin):$$PATH" $(short_jvm) $(step) "End-to-end tests" $(test_bin)/pytest -q -n 4 --dist worksteal --durations=25 tests

soak: DURATION := 3600
soak: setup-test $(punchcard) ## Load the job server for an hour and check that it does not grow: make soak DURATION=600
	@FIRESTEEL_SOAK_SECONDS=$(DURATION) $(step) "Soak of the job server" $(test_bin)/pytest -q -s tests/test_punchcard_soak.py

licenses: ## Write the license texts of the Rust crates, after a change of Cargo.lock
	@$(step) "Licenses of Rust crates" scripts/rust_licenses.py

format: ## Fix the format
	@cargo fmt --all
	@$(test_bin)/ruff check --quiet --fix --exit-zero
	@$(test_bin)/ruff format --quiet
	@scripts/sbt --error scalafmtSbt scalafmtAll scalafixAll scalafmtAll

clean: ## Remove build results; downloads stay in the cache
	@rm -rf target dist site project/target project/project spark-plugin/target examples/target
	@rm -rf build

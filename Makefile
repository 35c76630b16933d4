# What a person types in this project. `make` alone says what there is.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench fuzz nightly

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup: ## install the programs of others that the demo and the tests use (asks apt only for what is missing)
	@tools/setup

demo: ## the main job, shown: registry -> archive in small volumes -> another registry, compared by skopeo
	@tools/setup demo
	@tools/demo

test: ## all tests, against real registries
	@tools/setup
	@tools/test

check: ## formatting, lints and documentation, all without a warning
	@tools/check

bench: ## what ocm takes, beside skopeo, regctl, crane, zstd, sha256sum and cp in the same run (IMAGES=DIR: an OCI layout)
	@tools/setup
	@tools/bench

fuzz: ## every reader of foreign bytes under libFuzzer, TIME=60 seconds each
	@tools/fuzz $(or $(TIME),60)

nightly: ## what takes hours: every bit, cut and crash point, 200 kills, fuzzing, mutants
	@tools/setup
	@tools/nightly

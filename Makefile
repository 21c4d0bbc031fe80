# Every target makes its environments first; `make help` tells what there is.

SHELL := /bin/sh
# With compiled imports a process starts in a third of the time, and a stack has dozens.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help demo demo-ray test test-all test-quick test-ray check translations sbom smoke styles screens fuzz-api bench trial secrets clean

# The first Python that really runs: one that is found on PATH may be a version manager's stub.
CANDIDATES = $(PYTHON) python3 python3.14 python3.13 python3.12 /usr/bin/python3 /usr/local/bin/python3 \
	/usr/bin/python3.14 /usr/bin/python3.13 /usr/bin/python3.12 python3.11 /usr/bin/python3.11
WITH_PYTHON = @for python in $(CANDIDATES); do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then exec "$$python" -I $(1); fi; done; \
	echo 'No Python 3.11 or newer runs here: install python3 (3.12 or newer is best), or set PYTHON=PATH.' >&2; exit 1
BOOTSTRAP = $(call WITH_PYTHON,dev/stack/bootstrap.py $(1))
SMALL = SmolLM2-135M-Instruct
STACK = .venv/bin/python -m stack
TRIALS = .venv/bin/python -m trials

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: ## Run everything on this machine until Ctrl-C; options: VAR=, PORT=, ENGINE_URL=, BASE_MODEL=
	$(call BOOTSTRAP,--engine)
	@$(STACK) demo $(if $(VAR),--var '$(VAR)')

demo-ray: ## Run the demo with a local Ray cluster instead of vLLM; ENGINE_REPLICAS=2
	$(call BOOTSTRAP,--ray)
	@ENGINE_KIND=ray $(STACK) demo --var '$(or $(VAR),var/ray)'

# Tests read the guides' pages; the demo makes them once it is up.
test: ## All tests but slow ones, against real services and a real vLLM; TIER=ci or all, PART=rooms, pages or journeys
	$(call BOOTSTRAP,--engine --guides)
	@$(STACK) test --tier $(or $(TIER),quick) $(addprefix --part ,$(PART)) -- $(ARGS)

test-all: ## Every test, with ten times the examples: what runs nightly; COVERAGE=1 measures the branches covered
	@$(MAKE) --no-print-directory test TIER=all

test-quick: ## One app's tests, FLOOR=tenants; the services stay up between runs, so it takes seconds
	$(call BOOTSTRAP,--guides)
	@$(STACK) test-quick $(or $(FLOOR),tenants) -- $(ARGS)

test-ray: ## Run the journeys on a Ray cluster
	$(call BOOTSTRAP,--ray)
	@ENGINE_KIND=ray ENGINE_DTYPE=float32 $(STACK) run --all -- .venv/bin/python -m pytest \
		tests/journeys/test_ray.py tests/journeys/test_ten_styles_in_one_batch.py $(ARGS)

check: ## Check style, types, layers, migrations, templates, the compose file and known vulnerabilities
	$(call BOOTSTRAP)
	@$(STACK) check

translations: ## Update the catalogues in locale/ and list missing translations; ARGS=--check only reports
	$(call BOOTSTRAP)
	@.venv/bin/python -m website.catalogs $(ARGS)
	@.venv/bin/python locale/compile.py

sbom: ## Write an SBOM (CycloneDX) to var/sbom/ and licences to docs/licences.md
	$(call BOOTSTRAP)
	@$(STACK) sbom

smoke: ## Try the whole stack once: an upload, answers from two styles, usage
	$(call BOOTSTRAP,--engine)
	@$(STACK) smoke

styles: ## Retrain the included styles and, with NOVELS=folder, the controls (about five minutes each)
	$(call BOOTSTRAP,--engine)
	@.venv-engine/bin/python engine/prepare.py --model $(SMALL) --out var/models/$(SMALL)
	@$(TRIALS) styles
	@if test -n '$(NOVELS)'; then for language in en de; do $(TRIALS) control --language $$language || exit; done; \
	else echo 'The controls in engine/controls are as they were: NOVELS names no folder.'; fi

screens: ## Take screenshots of every page, light and dark, at both widths, to docs/screens/
	$(call BOOTSTRAP,--guides)
	@SCREENS=docs/screens $(STACK) run --services -- .venv/bin/python -m pytest -q tests/pages/test_every_page.py tests/pages/test_every_state.py

fuzz-api: ## Test the running management API against its OpenAPI document, with many examples
	$(call BOOTSTRAP)
	@API_EXAMPLES=$(or $(EXAMPLES),300) $(STACK) run --services -- .venv/bin/python -m pytest --timeout 7200 \
		tests/website/test_api_schema.py $(ARGS)

bench: ## Measure, NAME=gateway; without a NAME, list what can be measured; ARGS are its options
	$(call BOOTSTRAP)
	@.venv/bin/python -m bench $(NAME) $(ARGS)

trial: ## Try what the stack promises, NAME=chaos; without a NAME, list the trials; ARGS are its options
ifeq ($(NAME),gpu)
	@"$$(ls .venv-engine/bin/python 2>/dev/null || echo python3)" -P dev/trials/gpu.py $(ARGS)
else
	$(call BOOTSTRAP,$(if $(filter-out bare mutants,$(NAME)),--engine))
	@$(TRIALS) $(NAME) $(ARGS)
endif

secrets: ## Write .env for docker-compose.yml with random secrets; existing values are kept
	$(call WITH_PYTHON,dev/stack/env_file.py)

clean: ## Remove the environments and all demo data
	rm -rf .venv .venv-engine .venv-peers var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

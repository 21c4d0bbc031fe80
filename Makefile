# Every target makes its environments first; `make help` tells what there is.

SHELL := /bin/sh
# With compiled imports a process starts in a third of the time, and a stack has dozens.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help demo demo-ray test test-all test-quick test-ray check translations sbom smoke styles control bench-gateway bench-month bench-peers bench-engine bench-fairness bench-neighbours bench-rotation bench-memory bench-upload bench-training bench-evidence bench-evidence-answers bench-push bench-console bench-billing bench-pages bench-webhooks bench-routes screens seed-large chaos quota-storm fuzz fuzz-grammars trial-requests fuzz-api mutants trial-restart trial-scale trial-gpu soak trial-own-style trial-training-kills trial-provenance trial-bare trial-compose trial-install secrets clean

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
	@.venv-engine/bin/python engine/train_styles.py --base var/models/$(SMALL)
	@if test -n '$(NOVELS)'; then for language in en de; do $(TRIALS) control --language $$language || exit; done; \
	else echo 'The controls in engine/controls are as they were: NOVELS names no folder.'; fi

control: ## Train a control from the folder NOVELS for another base; ARGS='--base DIR --base-name NAME --out DIR'
	$(call BOOTSTRAP,--engine)
	@$(TRIALS) control $(ARGS)

chaos: ## Kill every part repeatedly under load and check the ledger; ARGS='--kills 8 --seed 1'
	$(call BOOTSTRAP,--engine)
	@$(TRIALS) chaos $(ARGS)

quota-storm: ## Send 500 requests at once against a limit that only fits some
	$(call BOOTSTRAP,--engine)
	@$(TRIALS) quota-storm $(ARGS)

mutants: ## Break six cores on purpose and count how often their tests notice; ARGS='--core sse --count 60'
	$(call BOOTSTRAP)
	@$(TRIALS) mutants $(ARGS)

trial-restart: ## Kill vLLM while 200 styles are requested; ENGINES=2 adds a second engine
	$(call BOOTSTRAP,--engine)
	@$(TRIALS) restart $(ARGS)

trial-scale: ## Try 2,000 styles on one engine: pages, reconciling, memory
	$(call BOOTSTRAP,--engine)
	@$(TRIALS) scale $(ARGS)

trial-gpu: ## Try what only a GPU can show, with what is installed: vLLM's flags, styles in one batch, their tax, a training
	@"$$(ls .venv-engine/bin/python 2>/dev/null || echo python3)" -P dev/trials/gpu.py $(ARGS)

soak: ## Run half an hour of mixed load and uploads; expects no errors, flat memory, an exact ledger; ARGS='--minutes 3'
	$(call BOOTSTRAP,--engine)
	@ENGINE_DTYPE=$(or $(ENGINE_DTYPE),float32) $(TRIALS) soak $(ARGS)

trial-own-style: ## Styles of the authors in the folder NOVELS, each judged on each author's third book
	$(call BOOTSTRAP,--engine)
	@$(TRIALS) own-style $(ARGS)

trial-training-kills: ## Kill the trainer, its worker, vLLM, Valkey and PostgreSQL during trainings; ARGS='--kills 5 --seed 1'
	$(call BOOTSTRAP,--engine)
	@$(TRIALS) training-kills $(ARGS)

trial-provenance: ## Measure the watermark on a real vLLM, with human texts in the folder NOVELS; ARGS='--answers 60'
	$(call BOOTSTRAP,--engine)
	@$(STACK) run --services -- .venv/bin/python -m pytest --hypothesis-profile=nightly --timeout 600 -q \
		tests/inference/api/test_watermark.py tests/provenance/test_receipts.py
	@OPENBLAS_NUM_THREADS=1 $(TRIALS) provenance $(ARGS); status=$$?; .venv/bin/python -m bench.provenance && exit $$status

trial-bare: ## Run `make demo` on a bare Debian with only Python and make (root, debootstrap)
	$(call BOOTSTRAP)
	@$(TRIALS) bare $(ARGS)

screens: ## Take screenshots of every page, light and dark, at both widths, to docs/screens/
	$(call BOOTSTRAP,--guides)
	@SCREENS=docs/screens $(STACK) run --services -- .venv/bin/python -m pytest -q tests/pages/test_every_page.py tests/pages/test_every_state.py

trial-compose: ## Run docker-compose.yml with podman and stand-in images: use, crash and replace it (root)
	$(call BOOTSTRAP,--engine)
	@$(TRIALS) compose $(ARGS)

trial-install: ## Run install.sh with podman and stand-in images, and measure how long it takes (root)
	$(call BOOTSTRAP,--engine)
	@$(TRIALS) install $(ARGS)

fuzz: ## Try thousands of mutated adapters on a real engine; ARGS='--cases 2000 --seed 2'
	$(call BOOTSTRAP,--engine)
	@$(TRIALS) fuzz $(ARGS)

fuzz-grammars: ## Try expensive grammars on a real engine beside a neighbour's requests; ARGS='--cases 200 --seed 2'
	$(call BOOTSTRAP,--engine)
	@$(TRIALS) fuzz-grammars $(ARGS)

trial-requests: ## Try every request field at its bounds, alone and in pairs, on the real engine
	$(call BOOTSTRAP,--engine)
	@$(TRIALS) requests $(ARGS)

fuzz-api: ## Test the running management API against its OpenAPI document, with many examples
	$(call BOOTSTRAP)
	@API_EXAMPLES=$(or $(EXAMPLES),300) $(STACK) run --services -- .venv/bin/python -m pytest --timeout 7200 \
		tests/website/test_api_schema.py $(ARGS)

bench-gateway: ## Measure the gateway's overhead, compared to nginx, LiteLLM, Portkey and TensorZero
	$(call BOOTSTRAP)
	@.venv/bin/python -m bench.gateway

bench-month: ## Measure the first requests of a month from 5,000 workspaces
	$(call BOOTSTRAP)
	@.venv/bin/python -m bench.month_turn

bench-peers: ## Install LiteLLM, TensorZero and Portkey for bench-gateway, each in its own environment
	$(call BOOTSTRAP)
	@.venv/bin/python -m bench.install

# 16 places, so that one tenant has eight at once: no tenant alone takes the last quarter.
bench-engine: ## Measure the real engine with `vllm bench serve`: through the gateway, and with many styles; ARGS='gateway'
	$(call BOOTSTRAP,--engine)
	@ENGINE_SOCKET= ENGINE_MAX_NUM_SEQS=16 $(STACK) run --all -- .venv/bin/python -m bench.engine $(ARGS)

bench-fairness: ## Measure what one workspace notices while another floods the engine
	$(call BOOTSTRAP,--engine)
	@$(STACK) run --all -- .venv/bin/python -m bench.fairness

bench-neighbours: ## Measure what a neighbour notices while others attack, and what they pay; ARGS='seed sequences'
	$(call BOOTSTRAP,--engine)
	@$(STACK) run --all -- .venv/bin/python -m bench.neighbours $(ARGS)

# 32 places, so that it is slots that styles wait for: one tenant has 24 of them at most.
bench-rotation: ## Measure whether any of 64 styles on 8 slots waits longer than the others
	$(call BOOTSTRAP,--engine)
	@ENGINE_MAX_NUM_SEQS=32 $(STACK) run --all -- .venv/bin/python -m bench.rotation

bench-memory: ## Compare the calculated memory with a running vLLM's (CPU)
	$(call BOOTSTRAP,--engine)
	@.venv/bin/python -m bench.memory

bench-upload: ## Measure the time from a finished 50 MB upload to the first styled token
	$(call BOOTSTRAP,--engine)
	@ENGINE_MAX_LORA_RANK=128 $(STACK) run --all -- .venv/bin/python -m bench.upload_time

bench-training: ## Measure a training of 20,000 words, reading, and serving beside a training; ARGS='way --words 3000'
	$(call BOOTSTRAP,--engine)
	@$(STACK) run --all -- .venv/bin/python -m bench.training $(ARGS)

bench-evidence: ## Measure what the evidence card's figures tell, on the novels in the folder NOVELS; ARGS='verifier'
	$(call BOOTSTRAP)
	@OPENBLAS_NUM_THREADS=1 .venv/bin/python -m bench.evidence $(ARGS)

bench-evidence-answers: ## Measure whether the answers of `make trial-own-style`'s styles lie near their authors
	$(call BOOTSTRAP,--engine)
	@ENGINE_SOCKET= ENGINE_MAX_CPU_LORAS=16 $(STACK) run --all -- .venv/bin/python -m bench.evidence_answers

bench-push: ## Measure a 300 MB multipart upload with presigned URLs, compared to curl to the same S3
	$(call BOOTSTRAP)
	@$(STACK) run --services -- .venv/bin/python -m bench.uploads

# Eight gigabytes of disk and some minutes; EVENTS=1000000 is quicker. Later runs find the tables in var/large.
seed-large: ## Create the tables of a large service in var/large: 1,000 workspaces, 10 million usage events
	$(call BOOTSTRAP)
	@$(STACK) run --services --var var/large -- sh -c '.venv/bin/python manage.py migrate -v 0 && \
		.venv/bin/python -m bench.large --events $(or $(EVENTS),10000000)'

bench-console: ## Measure the console's lists on the data of seed-large
	$(call BOOTSTRAP)
	@$(STACK) run --services --var var/large -- .venv/bin/python -m bench.pages console

bench-billing: ## Measure invoices on the data of seed-large
	$(call BOOTSTRAP)
	@$(STACK) run --services --var var/large -- .venv/bin/python -m bench.billing

bench-pages: ## Measure pages and the API's lists in a workspace with 10,000 styles and many requests
	$(call BOOTSTRAP,--guides)
	@$(STACK) run --services --var var/bench-pages -- sh -c '.venv/bin/python manage.py migrate -v 0 && \
		.venv/bin/python -m bench.pages pages && .venv/bin/python -m bench.pages api'

bench-routes: ## Measure how soon gateways see an engine change with 10,000 workspaces, and what is written
	$(call BOOTSTRAP)
	@$(STACK) run --services -- .venv/bin/python -m bench.routes

bench-webhooks: ## Measure how many webhooks one worker delivers per minute
	$(call BOOTSTRAP)
	@$(STACK) run --services -- .venv/bin/python -m bench.webhooks

secrets: ## Write .env for docker-compose.yml with random secrets; existing values are kept
	$(call WITH_PYTHON,dev/stack/env_file.py)

clean: ## Remove the environments and all demo data
	rm -rf .venv .venv-engine .venv-peers var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

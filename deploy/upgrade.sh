#!/bin/sh
# Upgrade a running installation: no request is refused, no stream is cut, pages stay.
# Build, migrate while the old version serves (migrations allow for that), replace each service, then bring up the rest.
# --built: the images are there already. COMPOSE='docker compose -p NAME' changes the command.
set -eu
cd "$(dirname "$0")/.."
compose=${COMPOSE:-docker compose}

[ "${1:-}" = --built ] || $compose build
$compose run --rm -T --no-deps migrate
deploy/replace.sh housekeeping uploads reading webhooks billing engine-worker beat exporter web web-2 gateway
# What else has changed; where that is vLLM, its streams end, and with one engine it is away while it loads.
$compose up --detach --no-build

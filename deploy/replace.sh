#!/bin/sh
# Replace services' containers by new ones: deploy/replace.sh SERVICE…
# `web`, `web-2` and `gateway` go one after the other, each once the proxy has stopped sending it anything new, so that
# no request is refused and no stream is cut. COMPOSE='docker compose -p NAME' changes the command.
set -eu
cd "$(dirname "$0")/.."
compose=${COMPOSE:-docker compose}
noticed_s=4  # the proxy asks each of them once a second

# Not --no-deps: compose 2.26 takes a service without what it depends on for another one, and replaces it at the next `up`.
replace() {
    $compose up --detach --no-build --force-recreate --wait "$@"
}

others=
served=
for service in "$@"; do
    case $service in
    web | web-2 | gateway) served="$served $service" ;;
    *) others="$others $service" ;;
    esac
done
# Workers first: a page of the new version may enqueue a task that the old one does not know.
# shellcheck disable=SC2086 # the names are several words
[ -z "$others" ] || replace $others
for service in $served; do
    $compose exec -T "$service" touch /tmp/draining
    sleep "$noticed_s"
    replace "$service"
done

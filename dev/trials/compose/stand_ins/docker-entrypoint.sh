#!/bin/sh
# As the official image of Valkey starts: gives up root, then runs what it is given.
set -e
if [ "$1" = valkey-server ] && [ "$(id -u)" = 0 ]; then
    find . \! -user 999 -exec chown 999:999 '{}' +
    exec setpriv --reuid=999 --regid=999 --clear-groups "$0" "$@"
fi
exec "$@"

#!/bin/sh
# Make the pins anew (needs uv): versions and hashes for all platforms, no host names.
set -eu
set -- --generate-hashes --universal --no-header --no-emit-index-url --no-annotate --python-version 3.11
uv pip compile pyproject.toml --extra build "$@" -o constraints/run.txt
uv pip compile pyproject.toml --extra build --extra dev -c constraints/run.txt "$@" -o constraints/dev.txt
echo 'moto[server]' | uv pip compile - "$@" -o constraints/moto.txt
printf '%s\n' django-forwardemail pyaddy simplelogin simplelogin-client |
    uv pip compile - "$@" -o constraints/api-clients.txt
echo schemathesis | uv pip compile - "$@" -o constraints/schemathesis.txt

#!/bin/sh
# Copies the sources of the distribution minimarathon into a directory, for pip to build: assemble.sh DIRECTORY
set -eu
target=$(mkdir -p "$1/twisted/plugins" && cd "$1" && pwd)
source=$(cd "$(dirname "$0")" && pwd)
checkout=$source/../..
(cd "$checkout" && find minimarathon -name '*.py' -o -name '*.json' -o -name py.typed) | while read -r file; do
    mkdir -p "$target/$(dirname "$file")"
    cp "$checkout/$file" "$target/$file"
done
cp "$checkout/twisted/plugins/minimarathon_plugin.py" "$target/twisted/plugins"
cp "$source/pyproject.toml" "$source/README.md" "$checkout/LICENSE" "$target"

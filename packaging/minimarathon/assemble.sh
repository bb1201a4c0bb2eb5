#!/bin/sh
# Puts the sources of the distribution minimarathon together, for pip to build: assemble.sh DIRECTORY
set -eu
source=$(dirname "$0")
checkout=$source/../..
mkdir -p "$1/twisted/plugins" "$1/minimarathon"
cp "$checkout"/minimarathon/*.py "$checkout"/minimarathon/*.json "$checkout"/minimarathon/py.typed "$1/minimarathon"
cp "$checkout/twisted/plugins/minimarathon_plugin.py" "$1/twisted/plugins"
cp "$source/pyproject.toml" "$source/README.md" "$checkout/LICENSE" "$1"

#!/bin/sh
# Installs a wheel or a source archive of marathon-lb, with its dependencies, into an empty environment and tries it
# there; then with a wheel of minimarathon beside it, whose cluster it renders:
#   smoke.sh PYTHON FILE MINIMARATHON
set -eu
python=$1
file=$(realpath "$2")
minimarathon=$(realpath "$3")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export PYTHONWARNINGS=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONPATH

"$python" -m venv env
env/bin/pip install --quiet "$file"

expect() {
    # Fails unless a command's output has a line like the first argument.
    wanted=$1
    shift
    "$@" >said 2>&1 || { cat said >&2; echo "$file: failed: $*" >&2; exit 1; }
    grep -q -e "$wanted" said || { cat said >&2; echo "$file: no \"$wanted\" from: $*" >&2; exit 1; }
}

version=$(env/bin/python -c 'from importlib.metadata import version; print(version("marathon-lb"))')
expect "marathon-lb $version" env/bin/marathon-update-haproxy --version
expect "marathon-lb $version" env/bin/marathon-lb-zdd --version
expect "HAProxy in step" env/bin/twistd --help
expect "callback-url" env/bin/twistd marathon-lb --help
expect "HAPROXY_HEAD" env/bin/marathon-update-haproxy --longhelp

if env/bin/python -c 'import minimarathon' 2>/dev/null; then
    echo "$file: holds minimarathon, which is a distribution of its own" >&2
    exit 1
fi
env/bin/pip install --quiet "$minimarathon"
expect "callback-url" env/bin/twistd marathon-lb --help
expect "Marathon" env/bin/twistd minimarathon --help

# A configuration from an empty Marathon: what is installed really runs.
env/bin/twistd --pidfile= --nodaemon minimarathon --port 0 >marathon.log 2>&1 &
marathon=$!
trap 'kill "$marathon" 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 100); do
    address=$(sed -n 's/.*\(http:\/\/127\.0\.0\.1:[0-9]*\).*/\1/p' marathon.log | head -n 1)
    [ -z "$address" ] || break
    sleep 0.1
done
[ -n "$address" ] || { cat marathon.log >&2; echo "$file: minimarathon does not start" >&2; exit 1; }
expect "frontend marathon_http_in" env/bin/marathon-update-haproxy --marathon "$address" --dry --skip-validation
echo "$(basename "$file"): works in an environment of its own, version $version"

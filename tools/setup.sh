#!/bin/sh
# Make or refresh a virtual environment:  setup.sh FOLDER PIP-ARGUMENT...
#
# PYTHON names the interpreter (default python3).  Everything that a new machine can lack ends
# in one line that says what to do about it.
set -eu

MINIMUM='3.11'
python=${PYTHON:-python3}
folder=$1
shift

stop() {
    printf 'edge: %s\n' "$*" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 ||
    stop "no '$python' on this machine; install Python $MINIMUM or newer, or name one: make PYTHON=/path/to/python3"

found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
    stop "'$python' does not start; name another one: make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "'$python' is Python $found, $MINIMUM or newer is needed; name one: make PYTHON=/path/to/python3.11"

# Debian and Ubuntu ship python3 without ensurepip, and then venv stops half way.
"$python" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
    stop "'$python' cannot make virtual environments; on Debian, Ubuntu or Raspberry Pi OS: sudo apt-get install python3-venv"

# The stamp comes last, so a folder without it was interrupted; one of another Python is stale.
if [ -f "$folder/.stamp" ] &&
    [ "$("$folder/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$found" ]; then
    rm -f "$folder/.stamp"
else
    printf 'Making %s with Python %s\n' "$folder" "$found"
    rm -rf "$folder"
    "$python" -m venv "$folder" ||
        stop "'$python -m venv $folder' failed, see above; on Debian: sudo apt-get install python3-venv"
fi

# A wheel rebuilt from changed sources keeps its version, and pip would keep the old files.
for argument in "$@"; do
    case $argument in
    *.whl) "$folder/bin/python" -m pip uninstall --quiet --yes edge-runtime edge-runtime-core 2>/dev/null || true ;;
    esac
done

printf 'Installing into %s: %s\n' "$folder" "$*"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" ||
    stop "pip could not install, see above; it needs a package index: a network, or PIP_INDEX_URL / PIP_FIND_LINKS"

pwd -P >"$folder/.stamp"

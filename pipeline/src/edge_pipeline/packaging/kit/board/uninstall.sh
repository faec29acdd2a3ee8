#!/bin/sh
# Removes a model from this board, and what no other model needs:
#
#   sh uninstall.sh [--folder FOLDER] [NAME]      NAME: @NAME@, unless another is given
set -eu

main() {
    here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
    base=${EDGE_MODELS:-${XDG_DATA_HOME:-${HOME:-}/.local/share}/edge}
    [ ! -d "$here/.runtimes" ] || base=$here
    name='@NAME@'
    while [ $# -gt 0 ]; do
        case $1 in
        --folder)
            [ $# -ge 2 ] || { echo 'edge: --folder needs a value' >&2 && exit 2; }
            base=$2
            shift
            ;;
        -*)
            echo 'usage: sh uninstall.sh [--folder FOLDER] [NAME]' >&2
            exit 2
            ;;
        *) name=$1 ;;
        esac
        shift
    done
    unit=$base/$name/edge-$name.service
    if [ -f "$unit" ] && command -v systemctl >/dev/null 2>&1; then
        systemctl --user disable --now "edge-$name.service" >/dev/null 2>&1 || true
    fi
    sh "$here/board.sh" remove --folder "$base" --name "$name"
}

main "$@"

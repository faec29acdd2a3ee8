#!/bin/sh
# Installs the model @NAME@ on this board, without a network:
#
#   sh install.sh [--folder FOLDER] [--python PYTHON]
#
# FOLDER is the folder of the models: $EDGE_MODELS, or ~/.local/share/edge.  The installer writes
# nothing outside it, needs no root, and changes nothing in a second run.  The previous version stays
# current until the last step.
set -eu

kit_name='@NAME@'
kit_target='@DESCRIPTION@'
kit_machine='@MACHINE@'
kit_python='@PYTHON@'
kit_glibc='@GLIBC@'
kit_runtime='@RUNTIME@'
kit_pip='@PIP@'
kit_sha256='@SHA256@'
kit_parts=@PARTS@
need_kb=@NEED_KB@
model_kb=@MODEL_KB@

say() { printf 'edge: %s\n' "$*"; }
stop() {
    printf 'edge: %s\n' "$*" >&2
    exit 1
}
misuse() {
    printf 'edge: %s\nusage: sh install.sh [--folder FOLDER] [--python PYTHON]\n' "$*" >&2
    exit 2
}

check_machine() {
    machine=$(uname -m)
    bits=$(getconf LONG_BIT 2>/dev/null || echo 64)
    case $bits-$machine in
    *-arm | *-armv* | 32-aarch64)
        stop "this system is 32-bit ARM ($machine), for which onnxruntime has no wheel; install the 64-bit Raspberry Pi OS (a Zero 2 W, 3, 4 or 5 runs it)"
        ;;
    *-i?86) stop "this system is 32-bit x86 ($machine), for which onnxruntime has no wheel; install a 64-bit one" ;;
    esac
    [ "$machine" = "$kit_machine" ] ||
        stop "this machine is $machine, the kit is for $kit_target, $kit_machine; make one for this machine: edge-pipeline kit --board, or --platform x86-64"
    [ "$bits" = 64 ] || stop "this system is $bits-bit, 64 bits are needed; install a 64-bit one"
    libc=$(getconf GNU_LIBC_VERSION 2>/dev/null || true)
    case $libc in
    'glibc '*) libc=${libc#glibc } ;;
    *)
        case $(ldd --version 2>&1 || true) in
        *musl*) stop "this system has musl, for which onnxruntime has no wheel; install one with glibc: Debian, Ubuntu, Raspberry Pi OS" ;;
        esac
        stop "cannot tell this system's glibc (getconf GNU_LIBC_VERSION); $kit_glibc or newer is needed: Debian, Ubuntu, Raspberry Pi OS"
        ;;
    esac
    at_least "$libc" "$kit_glibc" ||
        stop "this system's glibc is $libc, $kit_glibc or newer is needed; update the system: Raspberry Pi OS bookworm has 2.36"
    board=$(tr -d '\0' 2>/dev/null </sys/firmware/devicetree/base/model || true)
}

# Tests whether version $1, such as 2.36, is $2 or newer.
at_least() {
    [ "${1%%.*}" -gt "${2%%.*}" ] && return 0
    minor=${1#*.}
    minimum=${2#*.}
    [ "${1%%.*}" -eq "${2%%.*}" ] && [ "${minor%%.*}" -ge "${minimum%%.*}" ]
}

find_python() {
    if [ -z "$python" ]; then
        python=python$kit_python
        command -v "$python" >/dev/null 2>&1 || python=python3
    fi
    command -v "$python" >/dev/null 2>&1 ||
        stop "no '$python' on this system; Python $kit_python is needed: sudo apt install python3"
    interpreter=$("$python" -I -c 'import sys, struct, sysconfig as s
print("%s-%d.%d-%d%s" % (sys.implementation.name, *sys.version_info[:2], 8 * struct.calcsize("P"), "t" if s.get_config_var("Py_GIL_DISABLED") else ""))') ||
        stop "'$python' does not start; name another one: --python PYTHON"
    version=${interpreter#*-}
    [ "$interpreter" = "cpython-$kit_python-64" ] ||
        stop "'$python' is $interpreter, the kit is for cpython-$kit_python-64; name another one (--python PYTHON), or make the kit with edge-pipeline kit --python ${version%-*}"
    "$python" -I -c 'import venv' 2>/dev/null ||
        stop "'$python' cannot make virtual environments; sudo apt install python3-venv"
}

# Sets place to the nearest folder above $1 that exists.
nearest() {
    place=$1
    while [ ! -e "$place" ]; do place=$(dirname -- "$place"); done
}

# Prints the free kilobytes of the disk of $1, which need not exist yet.
free_kb() {
    nearest "$1"
    df -Pk -- "$place" | awk 'NR == 2 { print $4 }'
}

# Packages cannot be loaded from a file system without the right to run programs.
check_noexec() {
    nearest "$base"
    "$python" -I -c 'import os, sys
sys.exit(bool(os.statvfs(sys.argv[1]).f_flag & os.ST_NOEXEC))' "$place" ||
        stop "the file system of $base does not allow programs to run (noexec); name another folder: --folder FOLDER"
}

check_space() {
    needed=$model_kb
    [ -z "$fault" ] || needed=$((needed + need_kb))
    free=$(free_kb "$base")
    [ "$free" -ge "$needed" ] ||
        stop "only $((free / 1024)) MB are free at $base, $((needed / 1024 + 1)) MB are needed; free some, or name another folder: --folder FOLDER"
}

check_parts() {
    # A list that was cut short, or lists a part twice, would leave parts unchecked.
    listed=$(sed -n 's/^[0-9a-f]\{64\}  //p' "$kit/SHA256SUMS" | LC_ALL=C sort -u | wc -l)
    lines=$(wc -l <"$kit/SHA256SUMS")
    if [ "$listed" -ne "$kit_parts" ] || [ "$lines" -ne "$kit_parts" ]; then
        stop "SHA256SUMS is damaged or was changed: it lists $listed of $kit_parts parts; copy the kit here again"
    fi
    report=$(cd "$kit" && sha256sum -c SHA256SUMS 2>&1) || {
        bad=$(printf '%s\n' "$report" | sed -n 's/^\(.*\): FAILED.*$/\1/p' | head -n 1)
        stop "a part of the kit is damaged or was changed: ${bad:-SHA256SUMS}; copy the kit here again"
    }
}

# Prints why the environment of this kit cannot be used; nothing if it can.
runtime_fault() {
    [ -f "$runtime/.complete" ] || {
        echo 'it is not installed'
        return
    }
    sh "$kit/board.sh" verify --folder "$base" --runtime "$kit_runtime"
}

# Runs the kit's own pip from its wheel: the board's may be old, or missing.
build_runtime() {
    "$python" -I -m venv --without-pip "$runtime" &&
        "$runtime/bin/python" "$kit/wheels/$kit_pip/pip" --isolated --quiet --no-cache-dir \
            --disable-pip-version-check install --no-index --find-links "$kit/wheels" \
            --require-hashes --only-binary :all: --no-compile -r "$kit/requirements.txt" &&
        cp -R "$kit/licences" "$kit/sbom.cdx.json" "$runtime/" &&
        (cd "$kit" && sha256sum wheels/*.whl ./*.*) >"$runtime/.sums" &&
        cut -c 1-64 "$runtime/.sums" >"$runtime/.parts" &&
        sync && : >"$runtime/.complete"
}

# Takes the lock of the folder; it ends with this process and its children.
lock() {
    { : >>"$base/.lock"; } 2>/dev/null || stop "cannot write to $base; name another folder: --folder FOLDER"
    exec 9>"$base/.lock"
    status=0
    reason=$("$python" -I -c 'import fcntl, signal, sys
signal.alarm(300)
try:
    fcntl.flock(9, fcntl.LOCK_EX)
except OSError as error:
    sys.exit(error.strerror)' 2>&1) || status=$?
    case $status in
    0) ;;
    142) stop "another installation has been running at $base for 5 minutes; end it, and run this again" ;;
    *) stop "cannot lock $base/.lock: $(printf '%s\n' "$reason" | tail -n 1); name a folder on a local disk: --folder FOLDER" ;;
    esac
}

install_runtime() {
    if [ -z "$fault" ]; then
        say "runtime $kit_runtime is installed already"
        return
    fi
    [ ! -f "$runtime/.complete" ] || say "runtime $kit_runtime cannot run: $fault; installing it again"
    mkdir -p "$base/.runtimes"
    rm -rf "$runtime"
    output=$(build_runtime 2>&1) || {
        rm -rf "$runtime"
        case $output in
        *'No space left'* | *'Errno 28'* | *'quota exceeded'*)
            stop "the disk of $base is full; nothing was changed: free $((need_kb / 1024 + 1)) MB and run this again"
            ;;
        *'DO NOT MATCH THE HASHES'*)
            stop "a wheel is not the one that requirements.txt names; nothing was changed: copy the kit here again"
            ;;
        esac
        printf '%s\n' "$output" >&2
        stop "pip could not install, see above; nothing was changed"
    }
    fault=$(runtime_fault)
    [ -z "$fault" ] || {
        rm -rf "$runtime"
        stop "the packages are installed but cannot run here: $fault; nothing was changed"
    }
    say "runtime $kit_runtime: installed @PACKAGES@"
}

main() {
    kit=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
    base=${EDGE_MODELS:-${XDG_DATA_HOME:-${HOME:-}/.local/share}/edge}
    python=${EDGE_PYTHON:-}
    only=
    while [ $# -gt 0 ]; do
        case $1 in
        --folder | --python)
            [ $# -ge 2 ] || misuse "$1 needs a value"
            if [ "$1" = --folder ]; then base=$2; else python=$2; fi
            shift
            ;;
        --runtime-only) only=runtime ;;
        -h | --help)
            sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"
            exit 0
            ;;
        *) misuse "unknown argument '$1'" ;;
        esac
        shift
    done
    [ "$(printf %s "$base" | LC_ALL=C tr -d '[:cntrl:]')" = "$base" ] ||
        misuse "a folder's name must not have a line end or another control character in it; name another folder: --folder FOLDER"
    [ "$base" != /.local/share/edge ] || [ -n "${HOME:-}" ] ||
        misuse "HOME is not set; name the folder of the models: --folder FOLDER"
    case $base in /*) ;; *) base=$PWD/$base ;; esac
    case $base in *[\"\$\`\\:]*)
        # pip writes the folder into a shell script, and venv refuses a colon.
        misuse "no environment can be made in $base: a folder's name must not have any of \" \$ \` \\ : in it; name another folder: --folder FOLDER"
        ;;
    esac
    runtime=$base/.runtimes/$kit_runtime
    unset PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

    check_machine
    find_python
    check_parts
    check_noexec
    fault=$(runtime_fault)
    check_space
    say "this machine: ${board:+$board, }$machine, glibc $libc, $interpreter"
    say "kit $kit_name for $kit_target: every part is as it was packed"
    mkdir -p "$base" || stop "cannot make $base; name another folder: --folder FOLDER"
    if [ -z "${EDGE_LOCKED:-}" ]; then
        lock
        # Another installation may have made or removed it in the meantime.
        if [ ! -f "$runtime/.complete" ]; then
            fault='it is not installed'
        elif [ "$fault" = 'it is not installed' ]; then
            fault=$(runtime_fault)
        fi
    fi
    install_runtime
    if [ "$only" = runtime ]; then
        # No model uses it yet: board.sh keeps it for an hour.
        : >"$runtime/.waiting"
        exit 0
    fi

    sed "s|@FOLDER@|$(printf '%s' "$base" | sed 's/[\\&|]/\\&/g; s/%/%%/g')|g" \
        "$kit/edge-$kit_name.service" >"$base/.unit.new"
    EDGE_LOCKED=1 sh "$kit/board.sh" activate --folder "$base" --name "$kit_name" --runtime "$kit_runtime" \
        --model "$kit/models/$kit_name.onnx" --sha256 "$kit_sha256" --unit "$base/.unit.new"
    cp "$kit/board.sh" "$kit/uninstall.sh" "$base/"
}

main "$@"

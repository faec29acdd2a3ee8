#!/bin/sh
# Switches, lists and removes the models of a board, for install.sh, edge-pipeline deploy and the owner:
#
#   sh board.sh rollback --name NAME [--folder FOLDER]    the previous version; again: back
#   sh board.sh remove   --name NAME [--folder FOLDER]    all files of one model
#   sh board.sh list     [--folder FOLDER]
#
# In FOLDER ($EDGE_MODELS, or ~/.local/share/edge):
#
#   NAME/current -> releases/ID         switched by one rename: readers see the old or the new
#   NAME/releases/ID/model.onnx         ID: digests of model and runtime
#   NAME/releases/ID/runtime -> ...     the environment that checked it
#   NAME/releases/ID/previous -> ...    the version of a rollback
#   .runtimes/ID                        environments, shared by models
#   .parts/SHA256                       copied parts, by digest
#
# The last line calls the functions, so a script that is cut short does nothing.
set -eu

say() { [ -n "$machine" ] || printf 'edge: %s\n' "$*"; }
fact() { [ -z "$machine" ] || printf '%s=%s\n' "$1" "$2"; }
stop() {
    printf 'edge: %s\n' "$*" >&2
    exit 1
}

lock() {
    mkdir -p "$base" || stop "cannot make $base; name another folder: --folder FOLDER"
    [ -z "${EDGE_LOCKED:-}" ] || return 0
    { : >>"$base/.lock"; } 2>/dev/null || stop "cannot write to $base; name another folder: --folder FOLDER"
    exec 9>"$base/.lock"
    interpreter=${EDGE_PYTHON:-python3}
    for candidate in "$base"/.runtimes/*/bin/python; do
        command -v "$interpreter" >/dev/null 2>&1 || interpreter=$candidate
    done
    command -v "$interpreter" >/dev/null 2>&1 || stop "no python3 on this system; sudo apt install python3"
    status=0 # the lock ends with this process and its children
    reason=$("$interpreter" -I -c "$take_lock" 2>&1) || status=$?
    case $status in
    0) ;;
    142) stop "another installation has been running at $base for 5 minutes; end it, and try again" ;;
    *) stop "cannot lock $base/.lock: ${reason##*"$newline"}; name a folder on a local disk: --folder FOLDER" ;;
    esac
}

# Ends by SIGALRM, status 142, if another process holds the lock for 5 minutes.
take_lock='
import fcntl, signal, sys
signal.alarm(300)
try: fcntl.flock(9, fcntl.LOCK_EX)
except OSError as error: sys.exit(error.strerror)'

# Compares the installed files with their RECORDs, and imports the packages.
verify_packages='
import base64, csv, hashlib, os, pathlib, sys
if os.statvfs(sys.prefix).f_flag & os.ST_NOEXEC:
    sys.exit("its file system does not allow programs to run (noexec)")
site = next((pathlib.Path(path) for path in sys.path if path.endswith("site-packages")), None)
records = list(site.glob("*.dist-info/RECORD")) if site else []
if not records:
    sys.exit("no packages are installed for its Python, which is now %d.%d" % sys.version_info[:2])
for record in records:
    for name, stated, _ in csv.reader(record.read_text(encoding="utf-8").splitlines()):
        algorithm, _, expected = stated.partition("=")
        if not expected: continue
        try: raw = (site / name).read_bytes()
        except OSError as error: sys.exit(f"{name} cannot be read: {error.strerror}")
        digest = base64.urlsafe_b64encode(hashlib.new(algorithm, raw).digest())
        if digest.rstrip(b"=").decode() != expected: sys.exit(f"{name} is damaged")
try: import numpy, onnxruntime, edge_runtime
except BaseException as error: sys.exit(f"{type(error).__name__}: {error}".splitlines()[0])'

# Prints why the environment $1 cannot run models; nothing if it can.
runtime_fault() {
    if [ ! -d "$1" ]; then
        echo 'it is not installed'
    elif ! command -v "$1/bin/python" >/dev/null 2>&1; then
        echo "its Python ($(readlink -f -- "$1/bin/python" || readlink -- "$1/bin/python")) is gone or cannot be started"
    elif fault=$("$1/bin/python" -I -c "$verify_packages" 2>&1); then
        "$1/bin/edge-runtime" --version >/dev/null 2>&1 || echo 'bin/edge-runtime cannot be started'
    else
        status=$?
        fault=${fault##*"$newline"}
        echo "${fault:-its Python ended with status $status}"
    fi
}

# Prints whether the current release predicts, after asking it.
current_state() {
    if [ -z "$(target_of "$home/current")" ]; then
        echo 'nothing was switched'
    elif "$home/current/runtime/bin/edge-runtime" check --engine onnxruntime "$home/current/model.onnx" >/dev/null 2>&1; then
        echo 'the version before still answers'
    else
        echo 'nothing was switched, but the version before is refused here too'
    fi
}

# Checks the model of $release, in a process of its own first.  Here numpy must not stand in for a broken onnxruntime.
try_model() { "$release/runtime/bin/edge-runtime" check --isolate --engine onnxruntime "$release/model.onnx" 2>&1; }

# Stops because release $1 fails its check, with output $2; $3 names it, $4 is the state.
refuse_release() {
    printf '%s\n' "$2" >&2
    fault=$(runtime_fault "$1/runtime")
    # The current and the previous release stay, even if they are refused now.
    case $(basename -- "$1") in "$(target_of "$home/current")" | "$(target_of "$home/current/previous")") ;; *) rm -rf "$1" ;; esac
    [ -z "$fault" ] ||
        stop "the runtime $(basename -- "$(readlink -- "$1/runtime" || echo "$runtime")") cannot run: $fault; install it again: edge-pipeline deploy --install KIT, or install.sh of its kit; $4"
    stop "$3 is refused here, see above; $4"
}

# Prints facts of the disk of $base, which need not exist yet.
probe_disk() {
    place=$base
    while [ ! -e "$place" ]; do place=$(dirname -- "$place"); done
    fact free_kb "$(df -Pk -- "$place" | awk 'NR == 2 { print $4 }')"
    "${EDGE_PYTHON:-python3}" -I -c 'import os, sys
sys.exit(bool(os.statvfs(sys.argv[1]).f_flag & os.ST_NOEXEC) and 9)' "$place" 2>/dev/null || [ $? -ne 9 ] || fact noexec yes
}

# Prints the versions of the Pythons that install.sh would use.
python_versions() {
    "${EDGE_PYTHON:-python3}" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
    [ -n "${EDGE_PYTHON:-}" ] || for minor in 11 12 13 14 15 16; do
        if command -v "python3.$minor" >/dev/null 2>&1; then echo "3.$minor"; fi
    done
}

# Reads stdin: sha256sum marks the line of a file name with a backslash.
digest_of() { sha256sum <"$1" | cut -c 1-64; }

# Changes the link $2 to $1 by one rename.
point() {
    rm -rf "$2.new"
    ln -s "$1" "$2.new"
    mv -T "$2.new" "$2"
}

# Prints the name of the folder that the link $1 leads to; nothing if it leads nowhere.
target_of() { if [ -d "$1" ]; then basename -- "$(readlink -- "$1")"; fi; }

# Moves the complete parts to .parts; a connection that was cut leaves incomplete ones.
sort_arrivals() {
    for part in "$base"/.parts/.arriving*/*; do
        [ -f "$part" ] || continue
        digest=$(basename -- "$part")
        if [ "$(digest_of "$part")" = "$digest" ]; then mv "$part" "$base/.parts/$digest"; fi
    done
    # Another deployment may be copying now; a folder this old was abandoned.
    find "$base/.parts" -maxdepth 1 -name '.arriving*' -mmin +60 -exec rm -rf {} +
}

# Tests whether $1 was made or requested within the hour: another deployment may need it.
is_fresh() { [ -n "$(find "$1" -maxdepth 0 -mmin -60 2>/dev/null)" ]; }

# Prints facts of this board, and the digests of missing parts.
probe() {
    fact machine "$(uname -m)"
    fact bits "$(getconf LONG_BIT 2>/dev/null || echo 64)"
    fact libc "$(getconf GNU_LIBC_VERSION 2>/dev/null || echo unknown)"
    fact board "$(tr -d '\0\n' 2>/dev/null </sys/firmware/devicetree/base/model || true)"
    for version in $(python_versions); do fact python "$version"; done
    probe_disk
    fact folder "$base"
    fact current "$(target_of "$base/$name/current")"
    fact runtime "$(runtime_id)"
    for mark in "$base"/.runtimes/*/.complete; do
        environment=$(dirname -- "$mark")
        [ -f "$mark" ] || continue
        # The runtime of a kit is installed again unless it runs.
        if [ "$(basename -- "$environment")" = "$runtime" ] && [ -n "$(runtime_fault "$environment")" ]; then continue; fi
        fact installed "$(basename -- "$environment")"
    done
    [ ! -d "$base/.parts" ] || sort_arrivals
    for part in $parts; do
        if [ ! -f "$base/.parts/$part" ] || [ "$(digest_of "$base/.parts/$part")" != "$part" ]; then
            fact missing "$part"
        else
            touch "$base/.parts/$part" 2>/dev/null || true
        fi
    done
}

# Assembles a kit from its parts, by its SHA256SUMS, and installs its runtime.
assemble() {
    kit=$base/.kits/$sha256
    rm -rf "$kit"
    sort_arrivals
    while read -r digest file; do
        mkdir -p "$(dirname -- "$kit/$file")"
        ln "$base/.parts/$digest" "$kit/$file" 2>/dev/null || cp "$base/.parts/$digest" "$kit/$file"
    done <"$base/.parts/$sha256"
    cp "$base/.parts/$sha256" "$kit/SHA256SUMS"
    status=0
    EDGE_LOCKED=1 sh "$kit/install.sh" --runtime-only --folder "$base" >&2 || status=$?
    [ "$status" -ne 0 ] || cp "$kit/board.sh" "$kit/uninstall.sh" "$base/"
    rm -rf "$base/.kits"
    exit "$status"
}

# Prints the runtime for a model without a kit: that of its current release, or the newest one.
runtime_id() {
    used=$(target_of "$base/$name/current/runtime")
    [ -n "$used" ] || used=$(target_of "$base/runtime")
    printf '%s' "$used"
}

activate() {
    [ -n "$runtime" ] || runtime=$(runtime_id)
    [ -f "$base/.runtimes/${runtime:-none}/.complete" ] ||
        stop "no runtime is installed at $base; install a kit first: edge-pipeline deploy --install KIT, or install.sh of a kit"
    [ ! -d "$base/.parts" ] || sort_arrivals
    model=${model:-$base/.parts/$sha256}
    [ -f "$model" ] || stop "the model has not arrived; deploy again"
    id=$(printf '%.16s-%s' "$sha256" "$runtime")
    home=$base/$name
    release=$home/releases/$id
    old=$(target_of "$home/current")
    mkdir -p "$home/releases"
    make_release
    report=$(try_model) || refuse_release "$release" "$report" 'the model' "$(current_state)"
    [ -n "$machine" ] || printf '%s\n' "$report"
    [ -z "$unit" ] || mv "$unit" "$home/edge-$name.service"
    if [ "$old" = "$id" ]; then
        say "$name: this version is current already"
        fact outcome unchanged
    else
        [ -z "$old" ] || point "../$old" "$release/previous"
        switch_to "$id"
        say "$name: current is $id${old:+, the version before is kept}"
        fact outcome deployed
    fi
    point ".runtimes/$runtime" "$base/runtime"
    rm -f "$base/.runtimes/$runtime/.waiting"
    finish
}

# Makes the folder of a release under another name, and renames it when it is complete.
make_release() {
    if [ -f "$release/model.onnx" ] && [ "$(digest_of "$release/model.onnx")" = "$sha256" ]; then return; fi
    rm -rf "$home/releases/.new"
    mkdir "$home/releases/.new"
    # Links parts alone: nobody writes to a part, but the owner may write to the kit's file.
    case $model in "$base/.parts/"*) ln "$model" "$home/releases/.new/model.onnx" 2>/dev/null ;; *) false ;; esac ||
        cp "$model" "$home/releases/.new/model.onnx" || stop "cannot copy the model; nothing was switched"
    [ "$(digest_of "$home/releases/.new/model.onnx")" = "$sha256" ] ||
        stop "the model arrived damaged; deploy again"
    ln -s "../../../.runtimes/$runtime" "$home/releases/.new/runtime"
    printf '%s\n' "$sha256" >"$home/releases/.new/.parts"
    # A damaged release is replaced; its link to the previous release stays.
    before=$(readlink -- "$release/previous" 2>/dev/null || true)
    [ -z "$before" ] || ln -s "$before" "$home/releases/.new/previous"
    [ ! -e "$release" ] || rm -rf "$release"
    mv -T "$home/releases/.new" "$release"
}

# Switches readers to release $1.
switch_to() {
    sync
    point "releases/$1" "$home/current"
    sync
}

rollback() {
    home=$base/$name
    old=$(target_of "$home/current")
    [ -n "$old" ] || stop "no model $name is at $base; see: board.sh list"
    id=$(target_of "$home/current/previous")
    [ -n "$id" ] || stop "no version before $old is kept; deploy one"
    release=$home/releases/$id
    report=$(try_model) || refuse_release "$release" "$report" 'the version before' 'nothing was switched'
    point "../$old" "$release/previous"
    switch_to "$id"
    say "$name: back to $id; rollback again returns to $old"
    fact outcome 'rolled back'
    finish
}

# Cleans up, and measures the model.
finish() {
    fact trial "$(printf '%s\n' "$report" | sed -n 's/^isolation  *//p')"
    fact current "$id"
    fact previous "$(target_of "$home/current/previous")"
    prune || true
    program=$home/current/runtime/bin/edge-runtime
    if [ -n "$machine" ]; then
        # JSON comes on stdout alone; libraries may warn on stderr.
        figures=$("$program" bench --rows 1 --json --seconds 0.2 "$home/current/model.onnx" 2>/dev/null) || true
        fact bench "$(printf '%s' "$figures" | tr -d '\n')"
        return
    fi
    figures=$("$program" bench --rows 100 --seconds 0.2 "$home/current/model.onnx") ||
        say "$name is over one of its limits here"
    printf '\n%s\n\n' "$figures"
    say "use it: $base/runtime/bin/edge-runtime predict $name ROWS.csv"
    [ ! -f "$home/edge-$name.service" ] ||
        say "check it at every start: systemctl --user enable --now $home/edge-$name.service"
}

# Removes all releases but the current and the previous one, and unused runtimes and parts.
prune() {
    for home_of in "$base"/*/releases; do
        [ -d "$home_of" ] || continue
        current=$(target_of "$home_of/../current")
        before=$(target_of "$home_of/../current/previous")
        for release in "$home_of"/* "$home_of"/.new; do
            case $(basename -- "$release") in "$current" | "$before") ;; *) rm -rf "$release" ;; esac
        done
    done
    used=$(for link in "$base"/*/releases/*/runtime "$base/runtime"; do target_of "$link"; done)
    for environment in "$base"/.runtimes/*; do
        case "$used" in *"$(basename -- "$environment")"*) continue ;; esac
        is_fresh "$environment/.waiting" || rm -rf "$environment"
    done
    for part in "$base"/.parts/*; do
        [ -f "$part" ] || continue
        grep -qsF -- "$(basename -- "$part")" "$base"/*/releases/*/.parts "$base"/.runtimes/*/.parts ||
            is_fresh "$part" || rm -f "$part"
    done
}

remove() {
    [ -d "$base/$name/releases" ] || stop "no model $name is at $base; see: board.sh list"
    rm -rf "${base:?}/$name"
    if [ -z "$(list)" ]; then
        # Removes our own files only: a folder with other files stays.
        rm -rf "$base/.runtimes" "$base/.parts" "$base/.kits" "$base/runtime" "$base/.lock" \
            "$base/board.sh" "$base/uninstall.sh" "$base/.unit.new"
        rmdir "$base" 2>/dev/null || true
    else
        prune
    fi
    say "$name is removed"
}

# Prints why the runtime cannot run; nothing if it can.
verify() { runtime_fault "$base/.runtimes/$runtime"; }

list() {
    for link in "$base"/*/current; do
        [ ! -d "$link" ] || printf '%s  %s\n' "$(basename -- "$(dirname -- "$link")")" "$(target_of "$link")"
    done
}

main() {
    newline='
'
    base=${EDGE_MODELS:-${XDG_DATA_HOME:-${HOME:-}/.local/share}/edge}
    command=${1:-} machine='' name='' runtime='' model='' sha256='' unit='' parts=''
    [ $# -eq 0 ] || shift
    while [ $# -gt 0 ]; do
        case $1 in
        --machine) machine=yes ;;
        --folder | --name | --runtime | --model | --sha256 | --unit | --parts)
            [ $# -ge 2 ] || stop "$1 needs a value"
            option=${1#--} value=$2
            case $option in
            folder) base=$value ;; name) name=$value ;; runtime) runtime=$value ;; model) model=$value ;;
            sha256) sha256=$value ;; unit) unit=$value ;; parts) parts=$value ;;
            esac
            shift
            ;;
        *) stop "unknown argument '$1'" ;;
        esac
        shift
    done
    [ "$base" != /.local/share/edge ] || [ -n "${HOME:-}" ] ||
        stop "HOME is not set; name the folder of the models: --folder FOLDER"
    # A remote shell does not expand the tilde of a quoted folder.
    # shellcheck disable=SC2088
    case $base in /*) ;; '~/'*) base=$HOME/${base#'~/'} ;; *) base=$PWD/$base ;; esac
    case $base in *[\"\$\`\\:]*)
        stop "a folder of models must not have any of \" \$ \` \\ : in its name, found $base; name another folder: --folder FOLDER"
        ;;
    esac
    [ "$(printf %s "$base" | LC_ALL=C tr -d '[:cntrl:]')" = "$base" ] ||
        stop "a folder of models must not have a line end or another control character in its name; name another folder: --folder FOLDER"
    case $command in list | assemble | verify) ;; *)
        case $name in
        '' | [!A-Za-z0-9]* | *[!A-Za-z0-9._-]* | runtime | board.sh | uninstall.sh) stop "expected --name NAME, a model's name on this board" ;;
        esac
        ;;
    esac
    unset PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
    # A shell's start files may print something before, without a line end.
    [ -z "$machine" ] || printf '\nedge-facts\n'
    case $command in
    list) list ;;
    probe) probe ;;
    verify) verify ;;
    activate | rollback | remove | assemble)
        lock
        "$command"
        ;;
    *) stop "expected rollback, remove or list" ;;
    esac
}

main "$@"

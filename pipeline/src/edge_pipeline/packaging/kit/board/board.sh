#!/bin/sh
# What changes the models of a board: install.sh calls it, edge-pipeline deploy sends it, and its owner
# may call it without either:
#
#   sh board.sh rollback --name NAME [--folder FOLDER]    the version before; again: back
#   sh board.sh remove   --name NAME [--folder FOLDER]    everything of one model
#   sh board.sh list     [--folder FOLDER]
#
# In FOLDER ($EDGE_MODELS, or ~/.local/share/edge):
#
#   NAME/current -> releases/ID         switched by one rename: a reader sees the old or the new
#   NAME/releases/ID/model.onnx         ID: digests of the model and of its runtime
#   NAME/releases/ID/runtime -> ...     the environment that it was checked with
#   NAME/releases/ID/previous -> ...    the version to go back to
#   .runtimes/ID                        environments, shared by models
#   .parts/SHA256                       what was copied here, by digest
#
# Everything stands in functions, called on the last line: a script that arrives cut short does nothing.
set -eu

say() { [ -n "$machine" ] || printf 'edge: %s\n' "$*"; }
tell() { [ -z "$machine" ] || printf '%s=%s\n' "$1" "$2"; }
stop() {
    printf 'edge: %s\n' "$*" >&2
    exit 1
}

lock() {
    mkdir -p "$base" || stop "cannot make $base; name another folder: --folder FOLDER"
    [ -z "${EDGE_LOCKED:-}" ] || return 0
    exec 9>"$base/.lock"
    found=${EDGE_PYTHON:-python3}
    for other in "$base"/.runtimes/*/bin/python; do
        command -v "$found" >/dev/null 2>&1 || found=$other
    done
    command -v "$found" >/dev/null 2>&1 || stop "no python3 on this system; sudo apt install python3"
    # Lets go of itself when this process and its children end, however they end.
    "$found" -I -c 'import fcntl, signal; signal.alarm(300); fcntl.flock(9, fcntl.LOCK_EX)' ||
        stop "another installation has been running at $base for 5 minutes; end it, and try again"
}

# Not by name: sha256sum marks a line whose name has a backslash.
digest_of() { sha256sum <"$1" | cut -c 1-64; }

# Points the link $2 to $1 by one rename.
point() {
    rm -rf "$2.new"
    ln -s "$1" "$2.new"
    mv -T "$2.new" "$2"
}

# What the link $1 leads to, without folders; nothing if it leads nowhere.
target_of() { if [ -d "$1" ]; then basename -- "$(readlink -- "$1")"; fi; }

# Moves parts that arrived whole to their place; a connection that was cut left the others.
sort_arrivals() {
    for part in "$base"/.parts/.arriving*/*; do
        [ -f "$part" ] || continue
        digest=$(basename -- "$part")
        if [ "$(digest_of "$part")" = "$digest" ]; then mv "$part" "$base/.parts/$digest"; fi
    done
    # Others may be copying here at this moment; what is this old was cut off.
    find "$base/.parts" -maxdepth 1 -name '.arriving*' -mmin +60 -exec rm -rf {} +
}

# Whether $1 was made or asked for within the hour: another deployment may be about to use it.
is_fresh() { [ -n "$(find "$1" -maxdepth 0 -mmin -60 2>/dev/null)" ]; }

# Facts of this board, and which of the parts, named by digest, are not here.
probe() {
    tell machine "$(uname -m)"
    tell bits "$(getconf LONG_BIT 2>/dev/null || echo 64)"
    tell libc "$(getconf GNU_LIBC_VERSION 2>/dev/null || echo unknown)"
    tell board "$(tr -d '\0' 2>/dev/null </sys/firmware/devicetree/base/model || true)"
    for found in 11 12 13 14 15 16; do
        # Whoever names a Python there has one that no name tells the version of.
        if [ -z "${EDGE_PYTHON:-}" ] && command -v "python3.$found" >/dev/null 2>&1; then tell python "3.$found"; fi
    done
    tell folder "$base"
    tell current "$(target_of "$base/$name/current")"
    tell runtime "$(runtime_id)"
    for found in "$base"/.runtimes/*/.complete; do
        [ ! -f "$found" ] || tell installed "$(basename -- "$(dirname -- "$found")")"
    done
    [ ! -d "$base/.parts" ] || sort_arrivals
    for wanted in $parts; do
        if [ ! -f "$base/.parts/$wanted" ] || [ "$(digest_of "$base/.parts/$wanted")" != "$wanted" ]; then
            tell missing "$wanted"
        else
            touch "$base/.parts/$wanted" 2>/dev/null || true
        fi
    done
}

# Puts a kit together from its parts, by the list of them, and installs its runtime.
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

# The runtime that a model of this name is to run with, unless a kit brings one: the current one's,
# or the one that was installed last.
runtime_id() {
    found=$(target_of "$base/$name/current/runtime")
    [ -n "$found" ] || found=$(target_of "$base/runtime")
    printf '%s' "$found"
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
    told=$("$release/runtime/bin/edge-runtime" check "$release/model.onnx" 2>&1) || {
        printf '%s\n' "$told" >&2
        # The version to go back to stays, whatever ails it now.
        case $id in "$old" | "$(target_of "$home/current/previous")") ;; *) rm -rf "$release" ;; esac
        if [ -n "$old" ]; then kept='the version before still answers'; else kept='nothing was switched'; fi
        stop "the model is refused here, see above; $kept"
    }
    [ -n "$machine" ] || printf '%s\n' "$told"
    [ -z "$unit" ] || mv "$unit" "$home/edge-$name.service"
    if [ "$old" = "$id" ]; then
        say "$name: this version is current already"
        tell outcome unchanged
    else
        [ -z "$old" ] || point "../$old" "$release/previous"
        switch_to "$id"
        say "$name: current is $id${old:+, the version before is kept}"
        tell outcome deployed
    fi
    point ".runtimes/$runtime" "$base/runtime"
    rm -f "$base/.runtimes/$runtime/.waiting"
    finish "$old"
}

# The folder of a release, whole before it has its name.
make_release() {
    if [ -f "$release/model.onnx" ] && [ "$(digest_of "$release/model.onnx")" = "$sha256" ]; then return; fi
    rm -rf "$home/releases/.new"
    mkdir "$home/releases/.new"
    # A second name only for what is ours: nobody writes into a part, somebody may into a kit's file.
    case $model in "$base/.parts/"*) ln "$model" "$home/releases/.new/model.onnx" 2>/dev/null ;; *) false ;; esac ||
        cp "$model" "$home/releases/.new/model.onnx" || stop "cannot copy the model; nothing was switched"
    [ "$(digest_of "$home/releases/.new/model.onnx")" = "$sha256" ] ||
        stop "the model arrived damaged; deploy again"
    ln -s "../../../.runtimes/$runtime" "$home/releases/.new/runtime"
    printf '%s\n' "$sha256" >"$home/releases/.new/.parts"
    # A damaged release is made anew; the way back from it stays.
    before=$(readlink -- "$release/previous" 2>/dev/null || true)
    [ -z "$before" ] || ln -s "$before" "$home/releases/.new/previous"
    [ ! -e "$release" ] || rm -rf "$release"
    mv -T "$home/releases/.new" "$release"
}

# The one step that readers see.
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
    told=$("$release/runtime/bin/edge-runtime" check "$release/model.onnx" 2>&1) || {
        printf '%s\n' "$told" >&2
        stop "the version before is refused here, see above; nothing was switched"
    }
    point "../$old" "$release/previous"
    switch_to "$id"
    say "$name: back to $id; rollback again returns to $old"
    tell outcome 'rolled back'
    finish "$old"
}

# Cleans up, and lets the board say how fast it is.
finish() {
    tell current "$id"
    tell previous "$1"
    prune || true
    flags='--rows 100'
    [ -z "$machine" ] || flags='--rows 1 --json'
    # shellcheck disable=SC2086
    figures=$("$home/current/runtime/bin/edge-runtime" bench $flags --seconds 0.2 "$home/current/model.onnx" 2>&1) ||
        say "$name is over one of its limits here"
    if [ -n "$machine" ]; then
        tell bench "$(printf '%s' "$figures" | tr -d '\n')"
        return
    fi
    printf '\n%s\n\n' "$figures"
    say "use it: $base/runtime/bin/edge-runtime predict $name ROWS.csv"
    [ ! -f "$home/edge-$name.service" ] ||
        say "check it at every start: systemctl --user enable --now $home/edge-$name.service"
}

# Removes releases that are neither current nor the one before, and what nothing refers to.
prune() {
    for home_of in "$base"/*/releases; do
        [ -d "$home_of" ] || continue
        kept=$(target_of "$home_of/../current")
        before=$(target_of "$home_of/../current/previous")
        for found in "$home_of"/* "$home_of"/.new; do
            case $(basename -- "$found") in "$kept" | "$before") ;; *) rm -rf "$found" ;; esac
        done
    done
    used=$(for link in "$base"/*/releases/*/runtime "$base/runtime"; do target_of "$link"; done)
    for found in "$base"/.runtimes/*; do
        case "$used" in *"$(basename -- "$found")"*) continue ;; esac
        is_fresh "$found/.waiting" || rm -rf "$found"
    done
    for found in "$base"/.parts/*; do
        [ -f "$found" ] || continue
        grep -qsF -- "$(basename -- "$found")" "$base"/*/releases/*/.parts "$base"/.runtimes/*/.parts ||
            is_fresh "$found" || rm -f "$found"
    done
}

remove() {
    [ -d "$base/$name/releases" ] || stop "no model $name is at $base; see: board.sh list"
    rm -rf "${base:?}/$name"
    if [ -z "$(list)" ]; then
        # Only what was made here: a folder that holds something else stays.
        rm -rf "$base/.runtimes" "$base/.parts" "$base/.kits" "$base/runtime" "$base/.lock" \
            "$base/board.sh" "$base/uninstall.sh" "$base/.unit.new"
        rmdir "$base" 2>/dev/null || true
    else
        prune
    fi
    say "$name is removed"
}

list() {
    for found in "$base"/*/current; do
        [ ! -d "$found" ] || printf '%s  %s\n' "$(basename -- "$(dirname -- "$found")")" "$(target_of "$found")"
    done
}

main() {
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
    # A remote shell has not expanded the tilde of a quoted folder.
    # shellcheck disable=SC2088
    case $base in /*) ;; '~/'*) base=$HOME/${base#'~/'} ;; *) base=$PWD/$base ;; esac
    case $base in *[\"\$\`\\:]*)
        stop "a folder of models must not have any of \" \$ \` \\ : in its name, found $base; name another folder: --folder FOLDER"
        ;;
    esac
    case $command in list | assemble) ;; *)
        case $name in
        '' | [!A-Za-z0-9]* | *[!A-Za-z0-9._-]* | runtime | board.sh | uninstall.sh) stop "expected --name NAME, a model's name on this board" ;;
        esac
        ;;
    esac
    unset PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
    case $command in
    list) list ;;
    probe) probe ;;
    activate | rollback | remove | assemble)
        lock
        "$command"
        ;;
    *) stop "expected rollback, remove or list" ;;
    esac
}

main "$@"

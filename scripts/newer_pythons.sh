#!/usr/bin/env bash
# Runs a command on a Python that this machine lacks, in a root file system made from Debian sid.
#
#     scripts/newer_pythons.sh prepare DIR
#     scripts/newer_pythons.sh run DIR CHECKOUT 3.14 COMMAND...
#
# `prepare` makes the root file system DIR, and installs debootstrap for that if it is missing. Over a
# DIR that is ready it only copies this machine's pip configuration and certificates again. It prints
# the Pythons that DIR has, one a line.
#
# `run` runs COMMAND in CHECKOUT, in a fresh virtual environment that is gone afterwards, and exits
# with COMMAND's exit code. Inside, CHECKOUT is /src: the same files where mounting is permitted, else
# a copy that is thrown away. The environment is the caller's, but for the paths in it.
#
# Both exit with 77 and one line that says why when this machine cannot do it: not root, no network,
# or no such Python in the distribution.
#
# All that is mounted is mounted in a mount namespace of this script's own: however it ends, nothing
# stays mounted, and two runs in one DIR do not see each other's mounts.
set -euo pipefail

versions="3.14 3.15"
unavailable=77

cannot() { # REASON
    printf '*** NEWER PYTHONS NOT TESTED: %s ***\n' "$1" >&2
    exit "$unavailable"
}

usage() {
    sed -n '4,5s/^# *//p' "$0" >&2
    exit 2
}

in_root() { # ROOT COMMAND... with none of the caller's paths
    local root=$1
    shift
    env -u TMPDIR -u VIRTUAL_ENV -u PYTHONHOME -u PYTHONPATH \
        HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        chroot "$root" "$@"
}

pip_paths() { # the files and folders of this machine that pip's settings name
    local path
    {
        cat /etc/pip.conf /etc/xdg/pip/*.conf "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf" \
            "${PIP_CONFIG_FILE:-/dev/null}" 2>/dev/null | sed '/^[#;]/d' || true
        env | grep '^PIP_' || true
    } | tr '= \t' '\n' | sed -n 's,^file://,,; s,/*$,,; /^\/./p' | sort -u |
        while read -r path; do
            # The pages of an index point to files beside its folder "simple".
            path=${path%/simple}
            [ ! -e "$path" ] || echo "$path"
        done
}

# --- prepare ---

apt_install() { # ROOT PACKAGE...
    in_root "$1" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${@:2}" >>"$log" 2>&1
}

last_words() { # why the last step failed, as far as its log tells
    grep -E '^(E:|W:)' "$log" | tail -n 1 || true
}

archive_uri() { # -> where this machine's own packages come from
    # shellcheck disable=SC2016 # apt's variables
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        sed -n 's,^Debian Debian \(https\?://.*\),\1,p' | sort -u | sed -n 1p
}

make_root() { # ROOT
    local root=$1 uri version found="" package
    command -v apt-get >/dev/null || cannot "this machine has no apt-get"
    apt-get -q update >>"$log" 2>&1 || true # an archive of something else may be out of reach
    uri=$(archive_uri)
    [ -n "$uri" ] || cannot "this machine's apt reaches no Debian archive. $(last_words)"
    command -v debootstrap >/dev/null || apt-get -q -y install debootstrap >>"$log" 2>&1 ||
        cannot "debootstrap cannot be installed. $(last_words)"
    debootstrap --variant=minbase --include=ca-certificates sid "$root" "$uri" >>"$log" 2>&1 ||
        cannot "debootstrap failed: is there a network? $(last_words)"

    # How this machine's apt reaches the archive, and no service started inside.
    apt-config dump Acquire >"$root/etc/apt/apt.conf.d/00machine"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
    copy_configuration "$root"
    in_root "$root" apt-get -q update >>"$log" 2>&1 || cannot "apt-get update failed. $(last_words)"
    apt_install "$root" gcc libc6-dev || cannot "no compiler could be installed. $(last_words)"

    for version in $versions; do
        if ! apt_install "$root" "python$version-venv" "python$version-dev"; then
            echo "*** Python $version is not to be had from the archive. $(last_words) ***" >&2
            continue
        fi
        found="$found $version"
        for package in "python$version-nogil" "python$version-freethreaded"; do
            if in_root "$root" apt-cache show "$package" >/dev/null 2>&1; then
                apt_install "$root" "$package" || echo "$package could not be installed" >&2
            fi
        done
    done
    [ -n "$found" ] || cannot "none of $versions is to be had from the archive"
    in_root "$root" apt-get clean
}

copy_in() { # ROOT FROM [TO]: a file or folder of this machine, if it is there
    local to=$1${3:-$2}
    # Links are followed here, and replaced there: in the root, they point to this machine's files.
    if [ -d "$2" ]; then
        mkdir -p "$to"
        cp -rL --remove-destination "$2/." "$to"
    elif [ -f "$2" ]; then
        mkdir -p "$(dirname "$to")"
        cp -L --remove-destination "$2" "$to"
    fi
}

copy_configuration() { # ROOT: names, certificates and pip's settings
    local root=$1 path
    for path in /etc/hosts /etc/resolv.conf /etc/ssl/certs /etc/pip.conf /etc/xdg/pip; do
        copy_in "$root" "$path"
    done
    copy_in "$root" "$HOME/.config/pip" /root/.config/pip
    copy_in "$root" "$HOME/.pip" /root/.pip
    while read -r path; do
        [ ! -f "$path" ] || copy_in "$root" "$path"
    done < <(pip_paths)
}

prepare() {
    local version
    if [ ! -e "$dir/etc/newer_pythons" ]; then
        [ ! -e "$dir" ] || rmdir "$dir" 2>/dev/null ||
            { echo "$dir is there, and not made by this script" >&2; exit 2; }
        # Made under another name, so that what is called DIR is never half-made.
        half_made=$dir.half-made
        if grep -qF " $half_made/" /proc/self/mountinfo; then
            cannot "something is mounted below $half_made"
        fi
        rm -rf --one-file-system "$half_made"
        mkdir -p "$(dirname "$dir")"
        log=$dir.making.log
        : >"$log"
        trap 'rm -rf --one-file-system "$half_made"' EXIT
        make_root "$half_made"
        touch "$half_made/etc/newer_pythons"
        mv "$half_made" "$dir"
        rm "$log"
    fi
    copy_configuration "$dir"
    for version in $versions; do
        [ ! -x "$dir/usr/bin/python$version" ] || echo "$version"
    done
}

# --- run ---

mount_in() { # FROM TO: of a folder; false where that is not permitted
    mkdir -p "$2"
    "$private" && mount --rbind "$1" "$2" 2>/dev/null
}

run() { # CHECKOUT VERSION COMMAND...
    local checkout version=$2 source inside path
    checkout=$(cd "$1" && pwd)
    shift 2
    [ -e "$dir/etc/newer_pythons" ] || cannot "$dir is not prepared"
    [ -x "$dir/usr/bin/python$version" ] || cannot "$dir has no Python $version"

    for path in /proc /sys /dev; do
        mount_in "$path" "$dir$path" || true
    done
    while read -r path; do
        [ -d "$path" ] || continue
        # Without mounts: hard links if both are on one disk, else copies.
        mount_in "$path" "$dir$path" || cp -aluT "$path" "$dir$path" 2>/dev/null || cp -auT "$path" "$dir$path"
    done < <(pip_paths)

    scratch=$(mktemp -d "$dir/tmp/run.XXXXXX")
    trap 'rm -rf --one-file-system "$scratch" || true' EXIT
    inside=${scratch#"$dir"}
    source=/src
    if ! mount_in "$checkout" "$dir$source"; then
        source=$inside/src
        cp -a "$checkout" "$dir$source"
    fi
    in_root "$dir" "python$version" -m venv "$inside/venv"
    mkdir "$scratch/tmp"
    # shellcheck disable=SC2016 # for the shell inside
    in_root "$dir" sh -c '
        TMPDIR=$1/tmp VIRTUAL_ENV=$1/venv PATH=$1/venv/bin:$PATH
        export TMPDIR VIRTUAL_ENV PATH
        cd "$2"
        shift 2
        exec "$@"' sh "$inside" "$source" "$@"
}

private=false
if [ "${1:-}" = --private ]; then # in a mount namespace of its own, see below
    private=true
    shift
fi
case "${1:-} $#" in
    "prepare 2" | run\ [5-9] | run\ [1-9][0-9]*) ;;
    *) usage ;;
esac
[ "$(id -u)" -eq 0 ] || cannot "only root can make and enter a root file system"
if ! "$private" && unshare --mount true 2>/dev/null; then
    exec unshare --mount --propagation private bash "$0" --private "$@"
fi
action=$1
dir=$(realpath -m "$2")
shift 2
"$action" "$@"

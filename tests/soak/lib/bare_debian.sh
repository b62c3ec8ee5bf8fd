# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=sh
#
# bare_debian SUITE - in a chroot of a bare Debian with git and make added, and
# from a fresh clone: `make run` starts a node whose printed lines work, and
# `make check` is green. Needs root and the archive. ALK_BARE=DIR keeps the
# chroot as DIR/debian, to look into what failed.

bare_debian() {
    suite=$1
    [ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
    command -v mmdebstrap >/dev/null || { echo "mmdebstrap is missing: tools/deps soak"; exit 77; }
    if [ -n "${ALK_BARE:-}" ]; then
        work=$ALK_BARE
        mkdir -p "$work"
        [ ! -e "$work/debian" ] || { echo "$work/debian is there already"; exit 1; }
    else
        work=$(mktemp -d)
        trap 'rm -rf --one-file-system "$work"' EXIT
    fi
    top=$(cd "$(dirname "$0")/../.." && pwd)

    mmdebstrap --quiet --variant=apt --include=git,make "$suite" "$work/debian"
    git clone -q --no-hardlinks "$top" "$work/debian/alknet"
    cp /etc/resolv.conf "$work/debian/etc/resolv.conf"
    cp "$top/tests/soak/lib/inside.sh" "$work/debian/inside.sh"
    # A mount and process namespace of its own: whatever stays behind ends with it.
    # The root is made a mount: in a chroot that is none, unshare --mount fails.
    unshare --mount --pid --fork --kill-child sh -eu -c '
        mount --make-rprivate /
        mount --bind "$1" "$1"
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        mount --rbind /sys "$1/sys"
        exec chroot "$1" /bin/sh -eu /inside.sh' sh "$work/debian"
}

# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=sh
#
# bare_debian SUITE - in a chroot of a bare Debian with git and make added, and
# from a fresh clone: `make run` starts a node whose printed lines work, and
# `make check` is green. Needs root and the archive.

bare_debian() {
    suite=$1
    [ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
    command -v mmdebstrap >/dev/null || { echo "mmdebstrap is missing: tools/deps soak"; exit 77; }
    work=$(mktemp -d)
    trap 'rm -rf --one-file-system "$work"' EXIT
    top=$(cd "$(dirname "$0")/../.." && pwd)

    mmdebstrap --quiet --variant=apt --include=git,make "$suite" "$work/root"
    git clone -q --no-hardlinks "$top" "$work/root/alknet"
    cp /etc/resolv.conf "$work/root/etc/resolv.conf"
    cp "$top/tests/soak/lib/inside.sh" "$work/root/inside.sh"
    # A mount and process namespace of its own: whatever stays behind ends with it.
    unshare --mount --pid --fork --kill-child sh -eu -c '
        mount --make-rprivate /
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        mount --rbind /sys "$1/sys"
        exec chroot "$1" /bin/sh -eu /inside.sh' sh "$work/root"
}

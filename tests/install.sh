#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What `make install` puts in place is complete: a program that knows nothing but
# pkg-config compiles, links with both libraries, and runs; the command runs.
set -eu
cd "$(dirname "$0")/.."
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

make -s install DESTDIR="$root" PREFIX=/usr >/dev/null
"$root/usr/bin/alknet" --version
"$root/usr/bin/git-remote-alknet" --help >/dev/null

pc=$(dirname "$(find "$root" -name alknet.pc)")
export PKG_CONFIG_PATH="$pc" PKG_CONFIG_SYSROOT_DIR="$root"
cat >"$root/x.c" <<'END'
#include <alknet/alknet.h>

#include <stdio.h>

int main(void)
{
    return puts(alk_err_text(ALK_E_NOMEM)) < 0;
}
END
cflags=$(pkg-config --cflags alknet)
libs=$(pkg-config --libs alknet)
lib=$(dirname "$pc")
cc -std=c17 -Wall -Wextra -Werror $cflags "$root/x.c" $libs -o "$root/shared"
[ "$(LD_LIBRARY_PATH=$lib "$root/shared")" = "out of memory" ]
c++ -std=c++17 -Wall -Wextra -Werror -x c++ $cflags "$root/x.c" -x none $libs -o "$root/cxx"
[ "$(LD_LIBRARY_PATH=$lib "$root/cxx")" = "out of memory" ]
# Static: our archive, the system's libraries as they come.
export PKG_CONFIG_SYSROOT_DIR=
deps=$(pkg-config --libs $(pkg-config --print-requires-private alknet | sed 's/[ <>=].*//'))
cc -std=c17 $cflags "$root/x.c" "$lib/libalknet.a" $deps -o "$root/static"
[ "$("$root/static")" = "out of memory" ]

# Nothing but our names leaves the shared library.
foreign=$(nm -D --defined-only "$lib/libalknet.so" | awk '$3 !~ /^alk_/ { print $3 }')
[ -z "$foreign" ] || { echo "exported: $foreign"; exit 1; }
echo ok

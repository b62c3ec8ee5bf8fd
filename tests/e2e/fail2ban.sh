#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The shipped filter against lines that the code itself makes, with fail2ban's own
# matcher: every true line is found with its address, in each form of the log, and
# nothing that a peer can send makes another address be found.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
filter=$here/packaging/fail2ban/alknet.conf

command -v fail2ban-regex >/dev/null 2>&1 || { echo "fail2ban-regex is not installed"; exit 77; }
maker=
for d in "${ALK_BUILD:-$here/build}"/asan "${ALK_BUILD:-$here/build}"/dev "${ALK_BUILD:-$here/build}"/clang; do
    if [ -x "$d/tests/unit_auth_audit" ]; then maker=$d/tests/unit_auth_audit; break; fi
done
[ -n "$maker" ] || { echo "unit_auth_audit is not built"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The addresses that fail2ban would ban, one per matched line.
found() { timeout -k 5 120 fail2ban-regex --out ip "$1" "$filter"; }
fail() { echo "FAILED: $*"; exit 1; }

for kind in good hostile noise; do
    "$maker" $kind >"$tmp/$kind"
    found "$tmp/$kind" >"$tmp/$kind.found" || true
done

# Three true lines in three forms each.
for ip in 192.0.2.7 2001:db8::1 198.51.100.250; do
    for i in 1 2 3; do echo "$ip"; done
done >"$tmp/want"
cmp -s "$tmp/want" "$tmp/good.found" || {
    cat "$tmp/good" "$tmp/good.found"
    fail "true lines are not all found"
}
# Hostile values: every line still counts, for the peer that sent it.
lines=$(wc -l <"$tmp/hostile")
[ "$lines" = $(((16 * 3 + 256) * 3)) ] || fail "hostile bytes made $lines lines"
[ "$(grep -cx 198.51.100.1 "$tmp/hostile.found")" = "$lines" ] ||
    fail "hostile values hide a line from fail2ban"
if grep -vx 198.51.100.1 "$tmp/hostile.found"; then fail "a peer has another address banned"; fi
# Lines that only quote such text are no failures.
[ -s "$tmp/noise" ] || fail "no noise was made"
if [ -s "$tmp/noise.found" ]; then
    cat "$tmp/noise.found"
    fail "a quoted line counts as a failure"
fi
echo "9 true lines found, $lines hostile ones put down to their sender, noise ignored"

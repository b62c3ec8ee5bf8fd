# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs in the chroot of bare_debian.sh, in a fresh clone at /alknet.
export HOME=/root LANG=C.UTF-8
cd /alknet

echo "== make run"
make run </dev/null >/run.log 2>&1 &
node=$!
# The installation and the build come first; then the node says what to try.
for _ in $(seq 3600); do
    grep -q 'services; to try them:' /run.log && break
    kill -0 $node 2>/dev/null || { tail -n 50 /run.log; echo "make run ended"; exit 1; }
    sleep 1
done
sed -n '/^alknet:/,$p' /run.log
sleep 2
# Each line that it prints to try works as it stands, from a second shell.
sed -n 's#^  [^ ]*  *\(build/alknet .*\)$#\1#p' /run.log | grep -v ' demo/sftp$' >/lines
[ -s /lines ] || { echo "make run printed no line to try"; exit 1; }
while read -r line; do
    echo "\$ $line"
    timeout 60 sh -c "$line" </dev/null || { echo "failed: $line"; exit 1; }
done </lines
kill -TERM $node
wait $node || :

echo "== make check"
timeout 5400 make check >/check.log 2>&1 || { tail -n 200 /check.log; exit 1; }
tail -n 1 /check.log

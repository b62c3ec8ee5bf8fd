# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs in the chroot of bare_debian.sh, in a fresh clone at /alknet.
export HOME=/root LANG=C.UTF-8
cd /alknet

# Starts the node of `make run`, whatever has to be installed and built before.
start_node() {
    make run </dev/null >/run.log 2>&1 &
    node=$!
    for _ in $(seq 3600); do
        ! grep -q 'services; to try them:' /run.log || break
        kill -0 $node 2>/dev/null || { tail -n 50 /run.log; echo "make run ended"; exit 1; }
        sleep 1
    done
    sleep 2
}

# Ends it as the system would.
stop_node() {
    kill -TERM $node
    wait $node || :
}

# The commands that it prints, one a line: those that end with $1.
printed() {
    sed -n 's#^  [^ ]*  *\(build/alknet .*\)$#\1#p' /run.log | grep "$1"
}

# A printed line works as it stands. What reads gets a line, which demo/cat gives back.
try_line() {
    echo "\$ $1"
    echo "a line" | timeout 60 sh -c "$1" >/out || { cat /out; echo "failed: $1"; exit 1; }
    cat /out
    case "$1" in
    *' demo/cat') [ "$(cat /out)" = "a line" ] || { echo "no echo: $1"; exit 1; } ;;
    *' demo/motd') cmp /out /etc/os-release ;;
    *' alknet/id') ;; # nothing to say before a key was rotated
    *) [ -s /out ] || { echo "said nothing: $1"; exit 1; } ;;
    esac
}

# The line for git, with a repository that the first push makes.
try_git() {
    url=$(sed -n 's#^  alknet/git  *git clone \(.*\)/REPOSITORY$#\1#p' /run.log)/try
    [ "$url" != /try ] || { echo "no line for alknet/git"; exit 1; }
    mkdir /try.git /try
    git init -q -b main /try.git/from
    (
        eval "$(sed -n 's#^In a second shell, here: *##p' /run.log)" # PATH and NODE
        [ "$url" = "$NODE/try" ]
        cd /try.git/from
        git -c user.name=me -c user.email=me@example.org commit -q --allow-empty -m first
        timeout 60 git push -q "$url" main
        echo "\$ git clone $url"
        timeout 60 git clone -q "$url" /try
        [ "$(git -C /try rev-parse HEAD)" = "$(git rev-parse main)" ]
    ) || { echo "failed: git clone $url"; exit 1; }
}

echo "== make run"
began=$(date +%s)
start_node
sed -n '/^alknet:/,$p' /run.log
printed . | grep -v ' demo/sftp$' >/lines
[ -s /lines ] || { echo "make run printed no line to try"; exit 1; }
while read -r line; do
    try_line "$line"
done </lines
try_git
stop_node
echo "$(($(date +%s) - began)) s"

echo "== make check"
timeout 5400 make check >/check.log 2>&1 || { tail -n 200 /check.log; exit 1; }
sed -n '/^skipped:/,$p' /check.log

# OpenSSH came with make check.
echo "== make run, with sftp"
rm -rf build/demo
start_node
line=$(printed ' demo/sftp$') || { echo "no line for demo/sftp"; exit 1; }
echo "\$ sftp -D \"$line\""
printf 'put /etc/os-release sftp.try\nget sftp.try /sftp.back\nrm sftp.try\n' |
    timeout 60 sftp -q -b - -D "$line"
cmp /etc/os-release /sftp.back
stop_node

echo "== versions"
gcc --version | head -n 1
{ clang-14 --version 2>/dev/null || clang --version; } | head -n 1
for p in gnutls libngtcp2; do echo "$p $(pkg-config --modversion $p)"; done
git --version
tail -n 1 /check.log

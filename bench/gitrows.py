# SPDX-License-Identifier: MIT OR Apache-2.0
"""The Git rows of bench/run: clone and fetch over alknet/git, git:// and ssh, on one
machine, with the same git at both ends. CPU seconds are those of all processes of
one end, the ones that have ended included."""
import base64
import hashlib
import json
import os
import pwd
import resource
import shutil
import signal
import subprocess
import tempfile
import time

HZ = os.sysconf("SC_CLK_TCK")
FILES, FILE_SIZE, COMMITS = 40, 1 << 16, 2000
PICTURES, PICTURE = 16, 1 << 20


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


def busy(pid):
    """CPU seconds of a process and what came of it: each one's own, and that of its
    children that it has seen end."""
    total, todo = 0, [pid]
    while todo:
        p = todo.pop()
        todo += children(p)
        try:
            with open(f"/proc/{p}/stat") as f:
                total += sum(int(w) for w in f.read().rsplit(")", 1)[1].split()[11:15])
        except OSError:
            continue
    return total / HZ


def mine():
    """CPU seconds of our children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class GitBench:
    """A repository, its three servers, and clients for them. Used in a with block."""

    def __init__(self, alknet, commits, link=None):
        self.alknet, self.commits, self.started = alknet, commits, []
        # Where the servers and the clients are: words before their commands.
        self.there = link.at(1) if link else []
        self.here = link.at(0) if link else []
        self.host = link.address(1) if link else "127.0.0.1"
        self.servers = {}  # URL: process
        self.dir = tempfile.mkdtemp(prefix="alknet-bench-git-")
        os.chmod(self.dir, 0o755)
        self.env = {"PATH": os.path.dirname(os.path.abspath(alknet)) + ":" + os.environ["PATH"],
                    "HOME": self.path("home"), "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1",
                    "GIT_TERMINAL_PROMPT": "0"}
        for who in ("AUTHOR", "COMMITTER"):
            self.env.update({f"GIT_{who}_NAME": "bench", f"GIT_{who}_EMAIL": "bench@example.org"})
        for name in ("home", "srv", "out"):
            os.mkdir(self.path(name))
        os.chmod(self.path("srv"), 0o777)

    def __enter__(self):
        try:
            for name, value in (("init.defaultBranch", "main"), ("safe.directory", "*"),
                                ("gc.auto", "0"), ("maintenance.auto", "false")):
                self.git("config", "--global", name, value)
            self.make_repository()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for p in reversed(self.started):
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
        for p in self.started:
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def do(self, *argv, **more):
        done = subprocess.run(argv, env=self.env, capture_output=True, timeout=600, check=False,
                              **more)
        if done.returncode != 0:
            raise SystemExit(f"bench: {' '.join(argv)}: {done.stderr.decode().strip()}")
        return done.stdout.decode()

    def git(self, *words, **more):
        return self.do("git", *words, **more)

    def start(self, *argv, **more):
        p = subprocess.Popen([*self.there, *argv], env=self.env, stderr=subprocess.DEVNULL, **more)
        self.started.append(p)
        return p

    # --- the repository

    def make_repository(self):
        """Text that changes a little from commit to commit, as programs do, and pictures."""
        source = self.path("source")
        self.git("init", "-q", source)
        stream = ["reset refs/heads/main\n"]
        lines = [[hashlib.sha256(b"%d %d" % (f, i)).hexdigest() for i in range(FILE_SIZE // 65)]
                 for f in range(FILES)]
        for c in range(self.commits):
            f = c % FILES
            for i in range(20):
                at = (c * 7919 + i * 101) % len(lines[f])
                lines[f][at] = hashlib.sha256(b"%d %d %d" % (c, f, i)).hexdigest()
            text = "\n".join(lines[f]) + "\n"
            stream.append(f"commit refs/heads/main\ncommitter b <b@example.org> {1700000000 + c} "
                          f"+0000\ndata 2\nc\nM 644 inline dir{f % 7}/file{f}\n"
                          f"data {len(text)}\n{text}\n")
        stream.append(f"commit refs/heads/main\ncommitter b <b@example.org> 1800000000 +0000\n"
                      "data 2\nc\n")
        for i in range(PICTURES):
            text = base64.b85encode(hashlib.shake_128(b"%d" % i).digest(PICTURE)).decode()
            stream.append(f"M 644 inline pictures/{i}\ndata {len(text)}\n{text}\n")
        self.git("-C", source, "fast-import", "--quiet", input="".join(stream).encode())
        self.git("clone", "-q", "--bare", source, self.path("srv", "repo"))
        self.git("-C", self.path("srv", "repo"), "repack", "-q", "-a", "-d", "-f",
                 "--write-bitmap-index")
        self.do("chmod", "-R", "a+rwX", self.path("srv"))

    def grow(self):
        """One more commit in what is served."""
        repo = self.path("srv", "repo")
        tree = self.git("-C", repo, "rev-parse", "main^{tree}").strip()
        commit = self.git("-C", repo, "commit-tree", "-p", "main", "-m", "more", tree).strip()
        self.git("-C", repo, "update-ref", "refs/heads/main", commit)

    # --- servers: each returns the URL of the repository

    def serve_alknet(self, more=""):
        name = f"node{len(self.started)}"
        config = self.path(name + ".yaml")
        key = json.loads(self.do(self.alknet, "id", "--client", "--json"))["ed25519"]
        with open(config, "w") as f:
            f.write(f'listen: ["{self.host}:0"]\ndata_dir: {self.path(name)}\n'
                    f'auth: {{peers: [{{id: me, keys: ["{key}"], resources: {{repo: [repo]}}}}]}}\n'
                    f'services: {{git: {{root: "{self.path("srv")}"{more}}}}}\n')
        with open(self.path(name + ".out"), "w") as out:
            p = self.start(self.alknet, "serve", "--config", config, stdout=out)
        for _ in range(200):
            with open(self.path(name + ".out")) as f:
                found = [line for line in f if line.startswith("alknet://") and "@" in line]
            if found:
                self.servers[found[0].strip() + "/repo"] = p
                return found[0].strip() + "/repo"
            if p.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit("bench: the node did not start")

    def serve_daemon(self, port):
        p = self.start("git", "daemon", "--export-all", "--reuseaddr", f"--listen={self.host}",
                       f"--port={port}", "--max-connections=0",
                       f"--base-path={self.path('srv')}", stdout=subprocess.DEVNULL)
        url = f"git://{self.host}:{port}/repo"
        self.servers[url] = p
        self.until(url)
        return url

    def serve_ssh(self, port):
        """sshd with keys of its own; None where there is none."""
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        if not os.access(sshd, os.X_OK) or shutil.which("ssh") is None or os.geteuid() != 0:
            print("bench: no sshd, or not root: that peer is left out")
            return None
        for name in ("host", "user"):
            self.do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.path(name))
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        with open(self.path("sshd.conf"), "w") as f:
            f.write(f"ListenAddress {self.host}:{port}\nHostKey {self.path('host')}\n"
                    f"AuthorizedKeysFile {self.path('user.pub')}\nPidFile none\nUsePAM no\n"
                    "PermitRootLogin yes\nStrictModes no\nMaxStartups 200\nMaxSessions 200\n")
        p = self.start(sshd, "-D", "-f", self.path("sshd.conf"), stdout=subprocess.DEVNULL)
        self.env["GIT_SSH_COMMAND"] = (
            f"ssh -i {self.path('user')} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no "
            f"-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o Ciphers=aes128-gcm@openssh.com")
        user = pwd.getpwuid(os.geteuid()).pw_name
        url = f"ssh://{user}@{self.host}:{port}{self.path('srv', 'repo')}"
        self.servers[url] = p
        self.until(url)
        return url

    def until(self, url):
        for _ in range(100):
            if subprocess.run([*self.here, "git", "ls-remote", url], env=self.env, capture_output=True,
                              timeout=60, check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise SystemExit(f"bench: nobody answers at {url}")

    # --- work: each returns (wall seconds, the server's and the client's CPU seconds, bytes
    # of packs)

    def size(self, repo):
        pack = os.path.join(repo, "objects", "pack")
        return sum(os.path.getsize(os.path.join(pack, n)) for n in os.listdir(pack))

    def clone(self, url, *words, at_once=1):
        outs = [self.path("out", f"c{i}") for i in range(at_once)]
        server, client, began = busy(self.servers[url].pid), mine(), time.monotonic()
        running = [subprocess.Popen([*self.here, "git", *words, "clone", "-q", "--bare", url, out],
                                    env=self.env, stderr=subprocess.PIPE) for out in outs]
        for p in running:
            _, err = p.communicate(timeout=600)
            if p.returncode != 0:
                raise SystemExit(f"bench: clone {url}: {err.decode().strip()}")
        wall = time.monotonic() - began
        time.sleep(0.2)  # the server sees its children end
        result = (wall, busy(self.servers[url].pid) - server, mine() - client,
                  sum(self.size(out) for out in outs))
        for out in outs:
            shutil.rmtree(out)
        return result

    def fetch(self, url, times, *words):
        """Fetches of one new commit each, one after the other."""
        out = self.path("out", "fetch")
        self.do(*self.here, "git", *words, "clone", "-q", "--mirror", url, out)
        wall = client = 0.0
        server = busy(self.servers[url].pid)
        for _ in range(times):
            self.grow()
            c, t = mine(), time.monotonic()
            self.do(*self.here, "git", *words, "-C", out, "fetch", "-q")
            wall += time.monotonic() - t
            client += mine() - c
        time.sleep(0.2)
        server = busy(self.servers[url].pid) - server
        want = self.git("-C", self.path("srv", "repo"), "rev-parse", "main")
        if self.git("-C", out, "rev-parse", "main") != want:
            raise SystemExit(f"bench: fetch {url} has not brought everything")
        shutil.rmtree(out)
        return wall, server, client, 0

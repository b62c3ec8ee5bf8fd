# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the end-to-end tests share: nodes, tunnels and programs in a world of
their own.

    with World() as w:
        node = w.node('services: {custom: [{alpn: my/cat, exec: [/bin/cat], require: none}]}')
        w.ok([*w.dial(node, 'my/cat'), '--tcp'], input=b'hello')

A world is a temporary directory (HOME and the XDG directories are in there) and
the processes that were started. When it ends they are stopped; a node must stop
within its time with status 0, and nothing that was started, also by a node, may
be left. Every wait has an end. After a failure the logs are printed.
"""
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SOAK = os.environ.get('ALK_SOAK') == '1'
TRANSPORTS = ('--udp', '--tcp')
LIMIT = 3500 if SOAK else 270  # seconds for a whole script
PATIENCE = 60  # seconds for what takes less than one on a quiet machine
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
END = time.monotonic() + LIMIT
LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """An assertion of a test, with its text."""


def check(condition, text):
    if not condition:
        raise Failed(text)


def equal(what, got, want):
    check(got == want, '%s is %r, not %r' % (what, got, want))


def say(text):
    print(text, flush=True)


class Skipped(SystemExit):
    """A test cannot run here; the others of its script still do (main)."""

    def __init__(self, why):
        super().__init__(77)
        self.why = why

    def __str__(self):
        return self.why


def skip(why):
    raise Skipped(why)


def need(*programs):
    """The paths of programs; the test is skipped when one is missing."""
    paths = [shutil.which(p) for p in programs]
    for program, path in zip(programs, paths):
        if path is None:
            skip(program + ' is not installed')
    return paths[0] if len(paths) == 1 else paths


def until(what, condition, seconds=PATIENCE):
    """Waits until condition() is true, and returns what it said."""
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        check(time.monotonic() < end, 'after %d s still not: %s' % (seconds, what))
        time.sleep(0.02)


def read(path):
    try:
        with open(path, encoding='utf-8', errors='replace') as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):  # a process may end while it is looked at
        return ''


def write(path, text, mode=0o644):
    with open(path, 'wb' if isinstance(text, bytes) else 'w') as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def alknet():
    paths = [os.environ.get('ALKNET')] if os.environ.get('ALKNET') else \
        [os.path.join(ROOT, 'build', p) for p in ('alknet', 'release/alknet', 'dev/alknet')]
    for path in paths:
        if os.access(path, os.X_OK):
            return os.path.realpath(path)
    skip('alknet is not built')
    return None


def tie():
    """In a new child: it ends when the test ends, however that happens, and minds HUP also
    where the tests were started not to."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def connect(where, timeout=PATIENCE):
    """A socket to unix:PATH or HOST:PORT."""
    if where.startswith('unix:'):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        s.connect(where[5:])
        return s
    host, port = where.rsplit(':', 1)
    return socket.create_connection((host.strip('[]'), int(port)), timeout)


def free_port():
    """A port that was free a moment ago: who uses it must be ready to try another."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def receive(s, n=None):
    """n bytes, or all until the end. A reset raises ConnectionResetError."""
    got = bytearray()
    while n is None or len(got) < n:
        part = s.recv(65536 if n is None else min(65536, n - len(got)))
        if not part:
            break
        got += part
    return bytes(got)


def is_reset(s):
    """Whether the socket ends by a reset, sooner or later."""
    try:
        receive(s)
    except ConnectionResetError:
        return True
    return False


class Program:
    """A process in a group of its own, its output in files."""

    def __init__(self, world, name, argv, stdin=subprocess.DEVNULL, env=None, pass_fds=()):
        self.world, self.name = world, name
        self.out_path = os.path.join(world.dir, name + '.out')
        self.err_path = os.path.join(world.dir, name + '.err')
        with open(self.out_path, 'wb') as out, open(self.err_path, 'wb') as err:
            self.process = subprocess.Popen(argv, stdin=stdin, stdout=out, stderr=err,
                                            env=env or world.env, cwd=world.dir,
                                            pass_fds=pass_fds, start_new_session=True,
                                            preexec_fn=tie)
        self.pid = self.process.pid
        world.programs.append(self)

    def out(self):
        return read(self.out_path)

    def err(self):
        return read(self.err_path)

    def is_running(self):
        return self.process.poll() is None

    def wait(self, seconds=PATIENCE):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed('%s has not ended after %d s' % (self.name, seconds)) from None

    def until_out(self, pattern, seconds=PATIENCE):
        """Waits for a match in what it prints."""
        return self.until_match(self.out, pattern, seconds)

    def until_err(self, pattern, seconds=PATIENCE):
        return self.until_match(self.err, pattern, seconds)

    def until_match(self, text, pattern, seconds):
        def look():
            found = re.search(pattern, text(), re.M)
            check(found or self.is_running() or re.search(pattern, text(), re.M),
                  '%s ended with %s before it said %s' % (self.name, self.process.returncode,
                                                          pattern))
            return found
        return until('%s says %s' % (self.name, pattern), look, seconds)

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, seconds=PATIENCE):
        if self.is_running():
            self.send(number)
        return self.wait(seconds)


class Node(Program):
    """alknet serve, until it has told its address."""

    def __init__(self, world, name, config, listen, args):
        self.config_path = os.path.join(world.dir, name + '.yaml')
        self.data_dir = os.path.join(world.dir, name + '-data')
        self.head = 'listen: ["%s"]\ndata_dir: %s\n' % (listen, self.data_dir)
        self.configure(config)
        super().__init__(world, name, [world.alknet, 'serve', '--config', self.config_path, *args])
        self.is_expected_to_stop = True
        self.until_out(r'services; to try them')
        self.address = re.search(r'^alknet://\S+@\S+$', self.out(), re.M).group()
        self.key, self.host_port = self.address[len('alknet://'):].split('@')
        self.host, self.port = self.host_port.rsplit(':', 1)

    def configure(self, config):
        """Puts the file in place at once; the node may watch it."""
        text = config if config.startswith('listen:') else self.head + config
        os.replace(write(self.config_path + '.new', text), self.config_path)

    def reload(self, config=None, status=0):
        """Returns what `alknet reload` wrote."""
        if config is not None:
            self.configure(config)
        got = self.world.run([self.world.alknet, 'reload', '--config', self.config_path])
        equal('the status of reload (%r)' % got.text, got.status, status)
        return got.text


class Ended:
    """What became of a program that was run to its end."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err.decode('utf-8', 'replace')
        self.text = out.decode('utf-8', 'replace') + self.err


class World:
    def __init__(self):
        self.alknet = alknet()
        self.programs = []
        self.count = 0

    def __enter__(self):
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, self.on_signal)
        signal.alarm(max(1, int(END - time.monotonic())))
        self.dir = tempfile.mkdtemp(prefix='alknet-e2e-')
        os.chmod(self.dir, 0o755)  # programs of a node may run as another user
        self.env = {k: v for k, v in os.environ.items()
                    if k in ('PATH', 'LANG', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS',
                             'LSAN_OPTIONS', 'LD_LIBRARY_PATH')}
        self.env.update(HOME=self.sub('home'), XDG_CONFIG_HOME=self.sub('config'),
                        XDG_STATE_HOME=self.sub('state'), XDG_DATA_HOME=self.sub('data'),
                        XDG_CACHE_HOME=self.sub('cache'), XDG_RUNTIME_DIR=self.sub('run'),
                        TMPDIR=self.sub('tmp'), LC_ALL='C.UTF-8', NO_COLOR='1')
        return self

    def on_signal(self, number, frame):
        signal.signal(number, signal.SIG_IGN)
        raise Failed('the whole test took more than %d s' % LIMIT if number == signal.SIGALRM
                     else 'interrupted by signal %d' % number)

    def sub(self, name, mode=0o700):
        path = os.path.join(self.dir, name)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        return path

    def path(self, name):
        return os.path.join(self.dir, name)

    def next_name(self, stem):
        self.count += 1
        return '%s%d' % (stem, self.count)

    # --- programs

    def run(self, argv, input=b'', seconds=PATIENCE, env=None, cwd=None, ok=False,
            holds_input=False):
        """Runs a program to its end; with holds_input its input never ends."""
        if holds_input:
            from_us, to_it = os.pipe()
            try:
                return self.run_with(argv, from_us, None, seconds, env, cwd, ok)
            finally:
                os.close(from_us)
                os.close(to_it)
        return self.run_with(argv, subprocess.PIPE, input, seconds, env, cwd, ok)

    def run_with(self, argv, stdin, input, seconds, env, cwd, ok):
        p = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=env or self.env, cwd=cwd or self.dir,
                             start_new_session=True, preexec_fn=tie)
        try:
            out, err = p.communicate(input, seconds)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, err = p.communicate()
            raise Failed('no end after %d s: %s\n%s' % (
                seconds, ' '.join(argv), (out[-2000:] + err[-2000:]).decode('utf-8', 'replace'))) \
                from None
        got = Ended(p.returncode, out, err)
        if ok:
            check(got.status == 0, '%s: status %s\n%s' % (' '.join(argv), got.status,
                                                         got.text[-4000:]))
        return got

    def ok(self, argv, **more):
        """The same; it must succeed."""
        return self.run(argv, ok=True, **more)

    def start(self, name, argv, **more):
        return Program(self, self.next_name(name), argv, **more)

    def node(self, config, listen='127.0.0.1:0', args=()):
        return Node(self, self.next_name('node'), config, listen, args)

    def dial(self, node, alpn, *options):
        return [self.alknet, 'dial', *options, node.address, alpn]

    def tunnel(self, node, alpn, *options, listen='127.0.0.1:0'):
        """Returns the program; its .where is where it listens."""
        t = self.start('tunnel', [self.alknet, 'tunnel', *options, node.address, alpn, '--listen',
                                  listen])
        t.where = t.until_out(r'^listening on (\S+)$').group(1)
        return t

    def own_key(self):
        """The key that alknet shows for this user, as a line for `keys:`."""
        text = self.ok([self.alknet, 'id', '--client']).out.decode()
        return re.search(r'ssh-ed25519 [A-Za-z0-9+/=]+|ed25519:[0-9a-f]{64}', text).group()

    # --- the end

    def left(self):
        """Processes that are still there and have come from us."""
        mine, found = {}, []
        for entry in os.listdir('/proc'):
            if entry.isdigit():
                fields = read('/proc/%s/stat' % entry).rpartition(')')[2].split()
                if fields:
                    mine[int(entry)] = (int(fields[1]), fields[0])
        for pid, (parent, state) in mine.items():
            at = parent
            while at not in (0, 1, os.getpid()):
                at = mine.get(at, (0, ''))[0]
            if at == os.getpid() and state != 'Z':
                found.append(pid)
        return found

    def describe(self, pids):
        return '\n'.join('%d: %s' % (p, read('/proc/%d/cmdline' % p).replace('\0', ' ') or
                                     read('/proc/%d/comm' % p).strip()) for p in pids)

    def stop_all(self):
        for program in reversed(self.programs):
            if program.is_running():
                status = program.stop()
                if isinstance(program, Node):
                    equal('the status of %s, after SIGTERM,' % program.name, status, 0)
        until('nothing is left', lambda: not self.left(), 20)
        for program in self.programs:  # UBSan only talks
            found = re.search(r'^.*(runtime error: |Sanitizer: ).*$', program.err(), re.M)
            check(not found, '%s: %s' % (program.name, found and found.group()))

    def kill_all(self):
        for pid in self.left():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for program in self.programs:
            program.process.wait()

    def __exit__(self, kind, error, trace):
        signal.alarm(0)
        failed = kind is not None and not issubclass(kind, SystemExit)
        try:
            if not failed:
                self.stop_all()
        except Failed as e:
            failed, error = True, Failed('%s\n%s' % (e, self.describe(self.left())))
        finally:
            self.kill_all()
        if failed:
            for program in self.programs:
                for path in (program.out_path, program.err_path):
                    text = read(path)
                    if text:
                        say('---- %s\n%s' % (os.path.basename(path), text[-6000:].rstrip()))
            if isinstance(error, Failed):
                where = traceback.extract_tb(trace)[-1:] if trace else []
                mine = [f for f in traceback.extract_tb(trace) if not f.filename.endswith('lib.py')]
                for f in mine[-2:] or where:
                    say('%s:%d: %s' % (os.path.basename(f.filename), f.lineno, f.line))
            else:
                traceback.print_exception(kind, error, trace)
            say('FAILED: %s' % error)
        shutil.rmtree(self.dir, ignore_errors=True)
        if failed:
            sys.exit(1)
        return False


def main(*tests):
    """Runs named tests, each in a world of its own. Their names can be arguments."""
    chosen = [t for t in tests if not sys.argv[1:] or t.__name__ in sys.argv[1:]]
    check(chosen, 'no such test')
    skipped = []
    for test in chosen:
        began, name = time.monotonic(), test.__doc__ or test.__name__
        try:
            with World() as w:
                test(w)
        except Skipped as e:
            skipped.append('skipped: %s: %s' % (name, e))
            continue
        say('ok: %s (%.1f s)' % (name, time.monotonic() - began))
    if skipped:
        say('\n'.join(skipped))
        sys.exit(77)

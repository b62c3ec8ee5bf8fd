# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the tests of Git share: real git, repositories made for them, and a node
with the service `git` before them.

    g = Git(w)
    g.bare('repo', g.source('source'))
    node = g.node()
    g('clone', g.url(node, 'repo'), w.path('mine'))
    g.same(w.path('mine'), 'repo')
"""
import hashlib
import os
import shutil

from lib import check, equal, need, write

BOTH = ('udp', 'tcp')


class Git:
    def __init__(self, w):
        self.w, self.program = w, need('git')
        self.root = w.sub('srv', 0o777)
        w.env.update(GIT_AUTHOR_NAME='A U Thor', GIT_AUTHOR_EMAIL='a@example.org',
                     GIT_COMMITTER_NAME='C O Mitter', GIT_COMMITTER_EMAIL='c@example.org',
                     GIT_CONFIG_NOSYSTEM='1', GIT_TERMINAL_PROMPT='0', GIT_ASKPASS='true',
                     # git finds its helper beside the command
                     PATH=os.path.dirname(w.alknet) + ':' + w.env.get('PATH', '/usr/bin:/bin'))
        check(shutil.which('git-remote-alknet', path=w.env['PATH']),
              'git-remote-alknet is not beside ' + w.alknet)
        for name, value in (('init.defaultBranch', 'main'), ('safe.directory', '*'),
                            ('gc.auto', '0'), ('maintenance.auto', 'false'),
                            ('protocol.alknet.allow', 'always'),
                            ('protocol.file.allow', 'always'), ('advice.detachedHead', 'false')):
            self('config', '--global', '--add', name, value)

    # --- commands

    def run(self, *words, **more):
        """git with these words; what became of it."""
        return self.w.run([self.program, *words], **more)

    def __call__(self, *words, **more):
        """The same; it must succeed. Returns what it printed, both ways."""
        return self.w.ok([self.program, *words], **more).text

    def out(self, *words, **more):
        return self.w.ok([self.program, *words], **more).out.decode('utf-8', 'replace').strip()

    def fails(self, says, *words, **more):
        """It must fail, and say so."""
        got = self.run(*words, **more)
        check(got.status != 0, 'git %s has worked: %s' % (' '.join(words), got.text))
        check(says in got.text, 'git %s does not say "%s" but: %s' % (' '.join(words), says,
                                                                      got.text))
        return got

    # --- repositories

    def commit(self, repo, name, data, message='more'):
        """One more commit with this file; returns its id."""
        path = os.path.join(repo, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path, data)
        self('-C', repo, 'add', '-A')
        self('-C', repo, 'commit', '-q', '-m', message)
        return self.out('-C', repo, 'rev-parse', 'HEAD')

    def source(self, name, commits=30):
        """A repository with what repositories have: branches, a merge, tags of both
        kinds, an executable, a symlink, binary and empty files, odd names."""
        repo = self.w.path(name)
        self('init', '-q', repo)
        for i in range(commits):
            self.commit(repo, 'dir%d/file%d.txt' % (i % 3, i % 7), ('line %d\n' % i) * 200 * i,
                        'commit %d' % i)
        write(os.path.join(repo, 'run'), '#!/bin/sh\necho hello\n', 0o755)
        os.symlink('run', os.path.join(repo, 'link'))
        write(os.path.join(repo, 'empty'), '')
        self.commit(repo, 'odd/\u00e4 name\twith "quotes"', noise(1 << 20, name), 'odd things')
        self('-C', repo, 'tag', '-a', '-m', 'one', 'v1')
        self('-C', repo, 'checkout', '-q', '-b', 'topic', 'HEAD~2')
        self.commit(repo, 'topic.txt', 'topic\n', 'on a branch')
        self('-C', repo, 'checkout', '-q', 'main')
        self('-C', repo, 'merge', '-q', '--no-edit', 'topic')
        self('-C', repo, 'tag', 'light')
        return repo

    def bare(self, name, source=None, **settings):
        """A repository of the node's, under the root, open to the node's user."""
        path = os.path.join(self.root, name)
        if source is None:
            self('init', '-q', '--bare', path)
        else:
            self('clone', '-q', '--bare', source, path)
            self('-C', path, 'config', '--unset-all', 'remote.origin.url')
        for key, value in settings.items():
            self('-C', path, 'config', key.replace('_', '.'), value)
        open_up(path)
        return path

    def refs(self, repo):
        """{name: id} of all refs, with HEAD."""
        return dict(reversed(line.split(' ')) for line in
                    self.out('-C', repo, 'for-each-ref', '--format=%(objectname) %(refname)')
                    .splitlines())

    def tree(self, repo, name='HEAD'):
        return self.out('-C', repo, 'ls-tree', '-r', '-z', '--full-tree', name)

    def fsck(self, repo):
        self('-C', repo, 'fsck', '--full', '--strict', '--no-dangling')

    def same(self, mine, other):
        """Two clones are equal: refs, history, contents, working tree; and sound."""
        equal('the refs of ' + mine, self.refs(mine), self.refs(other))
        for words in (('rev-parse', 'HEAD'), ('symbolic-ref', 'HEAD'),
                      ('log', '--all', '--format=%H %T %P %an %s'), ('status', '--porcelain'),
                      ('ls-files', '-s')):
            equal('git ' + words[0], self.out('-C', mine, *words), self.out('-C', other, *words))
        equal('the tree', self.tree(mine), self.tree(other))
        self.fsck(mine)

    # --- the node

    def config(self, settings='create_on_push: true', peers=None, more=''):
        """A node with the service; who runs the test may do everything."""
        if peers is None:
            peers = '[{id: me, keys: ["%s"], scopes: [admin], ' \
                    'resources: {repo: [{name: "**", actions: [read, write]}]}}]' % self.w.own_key()
        return 'auth: {peers: %s}\nservices:\n  git: {root: "%s"%s}\n%s' % (
            peers, self.root, ', ' + settings if settings else '', more)

    def node(self, settings='create_on_push: true', peers=None, more='', **how):
        return self.w.node(self.config(settings, peers, more), **how)

    def url(self, node, repo):
        return '%s/%s' % (node.address, repo)

    def file_url(self, repo):
        return 'file://' + os.path.join(self.root, repo)


def over(transport):
    """Words for git: this transport alone."""
    return '-c', 'alknet.transport=' + transport


def noise(size, seed):
    """Bytes that do not compress, the same ones each time."""
    return hashlib.shake_128(str(seed).encode()).digest(size)


def open_up(path):
    """Whoever the node runs as may write there."""
    for folder, _, files in os.walk(path):
        os.chmod(folder, 0o777)
        for name in files:
            full = os.path.join(folder, name)
            os.chmod(full, os.stat(full).st_mode | 0o666)

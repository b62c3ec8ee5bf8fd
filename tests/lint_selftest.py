#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Each rule of tools/lint fires on a bad sample and is silent on a good one."""
import os
import subprocess
import sys
import tempfile

LINT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tools', 'lint')
HEAD = '/* SPDX-License-Identifier: MIT OR Apache-2.0 */\n'

# rule, path, text, whether the rule must fire
SAMPLES = [
    ('layers', 'src/base/a.c', '#include "core/b.h"\n', True),
    ('layers', 'src/base/a.c', '#include "base/b.h"\n#include "alknet/err.h"\n', False),
    ('layers', 'src/base/a.c', '#include "alknet/conn.h"\n', True),
    ('layers', 'src/core/io/a.c', '#include "base/b.h"\n#include "core/b.h"\n', False),
    ('layers', 'src/core/a.c', '#include "ops/b.h"\n', True),
    ('layers', 'src/core/a.c', '#include "ssh/b.h"\n', True),
    ('layers', 'src/ops/a.c', '#include "core/b.h"\n', False),
    ('layers', 'src/ops/a.c', '#include "ssh/b.h"\n', True),
    ('layers', 'src/ssh/a.c', '#include "ssh/proto/b.h"\n#include "ops/b.h"\n', False),
    ('layers', 'src/ssh/a.c', '#include "git/b.h"\n', True),
    ('layers', 'src/ssh/a.c', '#include "git/proto/b.h"\n', True),
    ('layers', 'src/ssh/a.c', '#include "../git/b.h"\n', True),
    ('layers', 'src/ssh/proto/a.c', '#include "core/b.h"\n', True),
    ('layers', 'src/ssh/proto/a.c', '#include "ssh/b.h"\n', True),
    ('layers', 'src/ssh/proto/a.c', '#include "base/b.h"\n', False),
    ('layers', 'src/secret/a.c', '#include "base/b.h"\n', True),
    ('layers', 'src/core/a.c', '#include "secret/b.h"\n', True),
    ('layers', 'cli/a.c', '#include "secret/b.h"\n#include "ssh/b.h"\n', False),
    ('layers', 'examples/a.c', '#include "core/b.h"\n', True),
    ('layers', 'examples/a.c', '#include "alknet/conn.h"\n', False),
    ('layers', 'bindings/a.c', '#include "core/b.h"\n', True),
    ('layers', 'include/alknet/a.h', '#include "base/b.h"\n', True),
    ('layers', 'include/alknet/a.h', '#include <sys/types.h>\n', True),
    ('layers', 'include/alknet/a.h', '#include <stdint.h>\n#include "alknet/err.h"\n', False),
    ('layers', 'src/core/a.c', '#include "core/not_there.h"\n', True),
    ('system', 'src/core/a.c', '#include <uv.h>\n', True),
    ('system', 'src/core/quic/a.c', '#include <sys/socket.h>\n', True),
    ('system', 'src/core/quic/a.c', '#include <unistd.h>\n', True),
    ('system', 'src/core/tls/a.c', '#include <sqlite3.h>\n', True),
    ('system', 'src/core/io/a.c', '#include <uv.h>\n#include <fcntl.h>\n', False),
    ('system', 'src/core/store/a.c', '#include <sqlite3.h>\n', False),
    ('system', 'src/ssh/proto/a.c', '#include <stdio.h>\n', True),
    ('system', 'src/core/a.c', 'x = clock_gettime(CLOCK_MONOTONIC, &t);\n', True),
    ('system', 'src/core/a.c', 'x = time(NULL);\n', True),
    ('system', 'src/core/a.c', 'x = now_time(NULL); y = o->time(o); /* time( */\n', False),
    ('banned', 'src/core/a.c', 'strcpy(a, b);\n', True),
    ('banned', 'tests/unit/a.c', 'int v = atoi(s);\n', True),
    ('banned', 'src/core/a.c', 'cb.rand(x); s = "strcpy("; my_strcpy(a, b);\n', False),
    ('prints', 'src/core/a.c', 'printf("x");\n', True),
    ('prints', 'src/core/a.c', 'abort();\n', True),
    ('prints', 'src/core/a.c', 'alk_buf_printf(b, "x"); snprintf(x);\n', False),
    ('prints', 'cli/a.c', 'printf("x");\n', False),
    ('sleep', 'tests/unit/a.c', 'usleep(5);\n', True),
    ('sleep', 'tests/sim/a.c', 'sleep(5);\n', True),
    ('compare', 'src/core/auth/a.c', 'if (memcmp(a, b, 3) == 0) {\n', True),
    ('compare', 'src/core/tls/a.c', 'if (alk_span_equal(a, b)) {\n', True),
    ('compare', 'src/secret/a.c', 'if (strcmp(a, b) == 0) {\n', True),
    ('compare', 'src/core/tls/a.c', 'if (alk_span_equal(a, b)) { /* not secret: ALPN */\n', False),
    ('compare', 'src/core/tls/a.c', '/* not secret */\nif (memcmp(a, b, 3) == 0) {\n', False),
    ('compare', 'src/core/tls/a.c', '/* lint: compare: whole file: names */\n\n\nmemcmp(a);\n', False),
    ('compare', 'src/core/quic/a.c', 'if (memcmp(a, b, 3) == 0) {\n', False),
    ('globals', 'src/core/a.c', 'static int counter;\n', True),
    ('globals', 'src/core/a.c', 'static struct x *list = NULL;\n', True),
    ('globals', 'src/core/a.c', 'int counter = 0;\n', True),
    ('globals', 'src/core/a.c', 'static const int table[] = {1};\nstatic void f(void)\n{\n}\n', False),
    ('globals', 'src/core/a.c', '/* lint: globals: set once */\nstatic int hook;\n', False),
    ('comments', 'src/core/a.c', 'x(); // later\n', True),
    ('comments', 'src/core/a.c', 'x("http://a"); /* see http://b */\n', False),
    ('spdx', 'src/core/b.c', None, True),
    ('spdx', 'tools/x', None, True),
    ('size', 'src/core/a.c', 'void f(void)\n{\n' + 'x();\n' * 81 + '}\n', True),
    ('size', 'src/core/a.c', 'void f(void)\n{\n' + 'x();\n' * 80 + '}\n', False),
    ('size', 'src/core/a.c', 'x();\n' * 800, True),
    ('layout', 'src/core/a.c', 'x' * 101 + '\n', True),
    ('layout', 'src/core/a.c', '\tx();\n', True),
    ('layout', 'src/core/a.c', 'x(); \n', True),
    ('layout', 'src/core/a.c', 'x' * 100 + '\n', False),
    ('paths', 'docs/a.md', 'see /wo' 'rk/main/x\n', True),
    ('paths', 'docs/a.md', 'see /srv/git and /home/alice/x\n', False),
    ('paths', 'tests/e2e/a.sh', 'cp ../sha' 'red/vectors/x .\n', True),
    ('todo', 'src/core/a.c', '/* TO' 'DO: later */\n', True),
    ('todo', 'src/core/a.c', '/* TO' 'DO(#12): later */\n', False),
    ('todo', 'tests/e2e/a.sh', 'mktemp -d /tmp/a.XXXXXX\n', False),
    ('contract', 'include/alknet/a.h', '\nALK_API void alk_a(void);\n', True),
    ('contract', 'include/alknet/a.h', '\n/* Does a. */\nALK_API void alk_a(void);\n', False),
    ('contract', 'include/alknet/a.h', '\n/* Both. */\nALK_API int alk_a(void);\n'
                                       'ALK_NODISCARD ALK_API int alk_b(void);\n', False),
    ('rfc', 'src/core/a.c', '/* RFC 9000 section 4.1 */\n', True),
    ('rfc', 'src/core/a.c', '/* see RFC 9000 §4.1 */\n', True),
    ('rfc', 'src/core/a.c', '/* RFC9000 */\n', True),
    ('rfc', 'src/core/a.c', '/* [RFC 9000 §4.1] and RFC 7250 */\n', False),
]
KNOWN = ['src/base/b.h', 'src/core/b.h', 'src/ops/b.h', 'src/ssh/b.h', 'src/git/b.h',
         'src/ssh/proto/b.h', 'src/git/proto/b.h', 'src/secret/b.h', 'include/alknet/err.h',
         'include/alknet/conn.h']


def write(root, path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def fires(rule, path, text):
    with tempfile.TemporaryDirectory() as root:
        for known in KNOWN:
            write(root, known, HEAD)
        if text is None:
            write(root, path, '#!/bin/sh\necho\n' if path.startswith('tools') else 'int x;\n')
        else:
            write(root, path, HEAD + text)
        done = subprocess.run([LINT, '--root', root, '--rule', rule], capture_output=True,
                              text=True, check=False)
        if done.returncode not in (0, 1) or done.stderr:
            sys.exit(done.stderr)
        said = any(line.startswith(path) and ' %s: ' % rule in line
                   for line in done.stdout.splitlines())
        assert said == (done.returncode == 1), done.stdout
        return said


def main():
    failed = 0
    for rule, path, text, want in SAMPLES:
        if fires(rule, path, text) != want:
            failed += 1
            print('%s %s on %s: %r' % (rule, 'is silent' if want else 'fires', path, text))
    listed = subprocess.run([LINT, '--list'], capture_output=True, text=True, check=True).stdout
    for rule in (line.split()[0] for line in listed.splitlines()):
        if not any(s[0] == rule and s[3] for s in SAMPLES):
            failed += 1
            print('rule %s has no sample that makes it fire' % rule)
    print('%d passed, %d failed' % (len(SAMPLES) - failed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

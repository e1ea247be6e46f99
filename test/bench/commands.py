# SPDX-License-Identifier: Apache-2.0
"""commands.py - rows of single costs (micro.c inside) and of whole commands, from bundle to exit status"""
import os, subprocess, sys, time

from rows import Row, TOP, note, quiet, sh

MICRO = {
    'getpid': 0.5, 'clock_gettime': 0.5, 'sigprocmask': 0.5, 'fstat': 1.0, 'lseek': 1.0, 'pread-512-tmpfs': 1.0,
    'pread-512-rootfs': 1.0, 'pread-64k-rootfs': 1.0, 'pwrite-512-tmpfs': 1.0, 'stat': 1.0, 'open-close': 1.0,
    'page-fault': 1.05, 'mmap-munmap': None, 'fork-exit': 1.5, 'fork-exec': 2.0, 'vfork-exec': 2.0, 'thread-create': None,
    'pipe-pingpong': 1.2, 'unix-pingpong': 1.2, 'mutex-contended': 1.05, 'cpu': 1.05,
}
# whole commands in a container; argv runs in the rootfs, which sees the host's programs read-only below /
COMMANDS = {
    'run /bin/true': (1.0, ['/bin/true']),
    'python3 start-up x20': (1.1, ['/bin/sh', '-c', 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do python3 -c "import json, os, re"; done']),
    'compile C program': (1.1, ['/bin/sh', '-c', 'cd /tmp && cp -r /src . && cd src && make -s -j2 >/dev/null']),
    'tar + find tree': (None, ['/bin/sh', '-c', 'cd /tmp && tar cf t.tar -C /usr/include . && mkdir x && tar xf t.tar -C x && find x -type f | wc -l >/dev/null']),
}
ROWS = {**{n: Row(t) for n, t in MICRO.items()}, **{n: Row(t) for n, (t, _) in COMMANDS.items()}}


def environment(c):
    c['process']['env'] = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root',
                           'MICRO_DIR=/tmp', 'MICRO_ROFILE=/bin/busybox']


def run_container(ctx, label, bundle, cid, timeout):
    """Output text and seconds of one `RUNTIME run`; None when it fails."""
    t0 = time.monotonic()
    try:
        p = subprocess.run(ctx.argv(label, 'run', '--bundle', bundle, cid), stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
        secs = time.monotonic() - t0
        if p.returncode == 0:
            return p.stdout.decode(), secs
        note(f'{label}: exit {p.returncode}: {p.stderr.decode()[-300:]}')
    except subprocess.TimeoutExpired:
        note(f'{label}: no end after {timeout} s')
    quiet(ctx.argv(label, 'delete', '--force', cid))
    return None


def prepare(ctx, wanted):
    bundles = {}
    micro = [n for n in wanted if n in MICRO]
    if micro:
        root = ctx.busybox_rootfs()
        sh(['gcc', '-O2', '-static', '-pthread', '-o', os.path.join(root, 'bin/micro'), os.path.join(TOP, 'test/bench/micro.c')])
        bundles['micro'] = ctx.bundle('micro', root, ['/bin/micro'] + (micro if len(micro) < len(MICRO) else []), environment)
    for i, n in enumerate(n for n in wanted if n in COMMANDS):
        root = ctx.host_rootfs()
        src = os.path.join(root, 'src')
        if not os.path.exists(os.path.join(src, 'Makefile')):
            os.makedirs(src, exist_ok=True)
            sh([sys.executable, os.path.join(TOP, 'test/bench/gen_src.py'), src])
        bundles[n] = ctx.bundle(f'cmd{i}', root, COMMANDS[n][1], environment)
    return bundles


def measure(bundles, ctx, wanted, label, nr):
    for n, bundle in bundles.items():
        got = run_container(ctx, label, bundle, f'{"m" if n == "micro" else "c"}{nr}', 120 if n == 'micro' else 300)
        if n == 'micro':
            for line in (got[0].splitlines() if got else []):
                row, v = line.split('\t')
                if row in ROWS: # micro.c may have more than is asked for
                    yield row, float(v)
        elif got:
            yield n, got[1] * 1e9


def finish(bundles):
    pass

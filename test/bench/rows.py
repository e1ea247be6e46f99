# SPDX-License-Identifier: Apache-2.0
"""rows.py - what bench.py and its row modules share

A row module (micro.py's kind: commands.py, network.py, containerd.py) has
    ROWS                        dict of row name -> Row, in the order of the table
    prepare(ctx, wanted)        prepares what the wanted rows (a list of names) need; returns a state object or None
    measure(state, ctx, wanted, label, round_nr)
                                yields (row, value) under one runtime; what fails is left out, with a line on stderr
    finish(state)               gives everything back, also when measure() raised
Values are nanoseconds, bytes per second, operations per second or bytes, as the row's unit says.
"""
import collections, json, os, subprocess, sys

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))

UNITS = {
    'time': (('s', 1e9), ('ms', 1e6), ('us', 1e3), ('ns', 1)),
    'rate': (('Gbit/s', 1e9 / 8), ('Mbit/s', 1e6 / 8), ('kbit/s', 1e3 / 8)),
    'ops': (('M/s', 1e6), ('k/s', 1e3), ('/s', 1)),
    'bytes': (('GiB', 1 << 30), ('MiB', 1 << 20), ('KiB', 1 << 10), ('B', 1)),
}
MORE_IS_BETTER = ('rate', 'ops')

# target: of the ratio to runc (None: only shown), or with absolute=True of runsc's own value
Row = collections.namedtuple('Row', 'target unit absolute', defaults=(None, 'time', False))


def met(row, value):
    """Does a ratio (or an absolute row's value) reach the target?"""
    if row.target is None:
        return True
    return value >= row.target if row.unit in MORE_IS_BETTER else value <= row.target


def fmt(row, v):
    for unit, f in UNITS[row.unit]:
        if v >= f or f == UNITS[row.unit][-1][1]:
            return f'{v / f:.2f} {unit}' if f != 1 else f'{v:.0f} {unit}'


def sh(cmd, **kw):
    return subprocess.run(cmd, check=True, **kw)


def quiet(cmd, timeout=30):
    """A command whose failure does not matter."""
    try:
        subprocess.run(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=timeout)
    except (subprocess.TimeoutExpired, OSError):
        pass


def note(text):
    print('  ' + text, file=sys.stderr, flush=True)


class Context:
    """The work folder, the runtimes, and bundles in it."""

    def __init__(self, work, runtimes):
        self.work, self.runtimes, self.hostroot = work, runtimes, None

    def state(self, label):
        return os.path.join(self.work, 'state-' + label)

    def argv(self, label, *args):
        return [self.runtimes[label], '--root', self.state(label), *args]

    def busybox_rootfs(self):
        root = os.path.join(self.work, 'rootfs')
        if not os.path.exists(root):
            sh(['bash', '-c', f'. {TOP}/test/lib.sh; make_busybox_rootfs {root}'])
        return root

    def host_rootfs(self):
        """A root file system that has the host's programs: an overlay over /, writable without touching it."""
        if self.hostroot:
            return self.hostroot
        up, wk, root = (os.path.join(self.work, d) for d in ('up', 'wk', 'hostroot'))
        for d in (up, wk, root):
            os.makedirs(d)
        sh(['mount', '-t', 'overlay', 'overlay', '-o', f'lowerdir=/,upperdir={up},workdir={wk}', root])
        self.hostroot = root
        return root

    def bundle(self, name, rootfs, argv, edit=None):
        """A bundle in the work folder; @edit changes its configuration."""
        path = os.path.join(self.work, name)
        sh(['bash', '-c', f'. {TOP}/test/lib.sh; make_bundle "$@"', 'x', path, rootfs] + argv)
        cfg = os.path.join(path, 'config.json')
        with open(cfg) as f:
            c = json.load(f)
        if edit:
            edit(c)
        with open(cfg, 'w') as f:
            json.dump(c, f)
        return path

    def close(self):
        if self.hostroot:
            subprocess.run(['umount', '-l', self.hostroot])

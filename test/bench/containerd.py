# SPDX-License-Identifier: Apache-2.0
"""containerd.py - rows of bench.py: pods and containers through a real, private containerd

Times are taken from containerd's own events (a container's record was made; its task has started), so that the client's
start-up, the same for both, does not dilute them. A pod is a first container with CRI's annotations, which gets a shim; a
second one joins it. A hundred pods are made once, in the first round.
"""
import datetime, os, re, subprocess, time

from rows import TOP, Row, note

PODS = 100
ROWS = {
    'pod create to running': Row(1.0),
    'container start in a pod': Row(1.0),
    'shim, proportional set size': Row(3 << 20, 'bytes', True),
    'pod with one idle container, all its processes': Row(None, 'bytes'),
    f'{PODS} pods alive: start of all': Row(None),
    f'{PODS} pods alive: memory of each': Row(None, 'bytes'),
}
PER_ROUND = list(ROWS)[:4]
ALIVE = list(ROWS)[4:]
RUNTIME = {'runc': ('io.containerd.runc.v2', 'containerd-shim-runc-v2'), 'runsc': ('io.containerd.runsc.v1', 'containerd-shim-runsc-v1')}


class Daemon:
    """A containerd below a temporary directory, with an image and an event log; lib.sh's clean-up runs when it is closed."""

    def __init__(self, bindir):
        lib = os.path.join(TOP, 'test/e2e/containerd')
        self.p = subprocess.Popen(['bash', '-c', '. "$0/lib.sh"; setup "$1"; echo "$T $NS $IMG"; read -r _', lib, bindir],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.p.stdout.readline().split()
        if len(line) != 3:
            raise OSError('containerd does not come up')
        self.dir, self.ns, self.image = line

    def ctr(self, *args, timeout=120):
        return subprocess.run(['ctr', '-a', self.dir + '/containerd.sock', '-n', self.ns, *args], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)

    def run(self, label, cid, pod):
        args = ['run', '-d', '--runtime', RUNTIME[label][0]]
        if label == 'runsc':
            args += ['--runtime-config-path', self.dir + '/shim.toml']
        args += ['--annotation', 'io.kubernetes.cri.container-type=' + ('sandbox' if pod == cid else 'container'),
                 '--annotation', 'io.kubernetes.cri.sandbox-id=' + pod, self.image, cid, 'sleep', '100000']
        r = self.ctr(*args)
        if r.returncode:
            raise OSError(f'{label}: {cid}: {r.stderr.strip()[-300:]}')

    def remove(self, *cids):
        for cid in cids:
            self.ctr('task', 'rm', '-f', cid)
            self.ctr('container', 'rm', cid)

    def event_ns(self, topic, cid):
        """When an event about a container happened, in ns; waits for it to be told."""
        key = '"id":"%s"' % cid if topic.startswith('/containers') else '"container_id":"%s"' % cid
        for _ in range(200):
            with open(self.dir + '/events') as f:
                for line in f:
                    m = re.match(r'(\S+ \d\d:\d\d:\d\d)(?:\.(\d+))? \+0000 UTC \S+ (\S+) (.*)', line)
                    if m and m[3] == topic and key in m[4]:
                        at = datetime.datetime.strptime(m[1] + ' +0000', '%Y-%m-%d %H:%M:%S %z').timestamp()
                        return int(at) * 10**9 + int((m[2] or '0').ljust(9, '0')[:9])
            time.sleep(0.05)
        raise OSError(f'no event {topic} of {cid}')

    def start_time(self, cid):
        return self.event_ns('/tasks/start', cid) - self.event_ns('/containers/create', cid)

    def close(self):
        self.p.stdin.close()
        self.p.wait(timeout=120)


def pss(pid):
    try:
        with open(f'/proc/{pid}/smaps_rollup') as f:
            return next(int(l.split()[1]) << 10 for l in f if l.startswith('Pss:'))
    except (OSError, StopIteration):
        return 0


def processes():
    """pid -> (parent, arguments) of all."""
    out = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/stat') as f, open(f'/proc/{pid}/cmdline') as c:
                out[int(pid)] = (int(f.read().rsplit(') ', 1)[1].split()[1]), c.read())
        except OSError:
            pass
    return out


def shims(d, label):
    return [p for p, (_, args) in processes().items() if args.split('\0')[0].endswith(RUNTIME[label][1]) and d.dir in args]


def family(shim):
    """A shim and all that descends from it."""
    procs, out = processes(), [shim]
    for p in out:
        out += [c for c, (parent, _) in procs.items() if parent == p]
    return out


def prepare(ctx, wanted):
    if not os.path.exists('/usr/bin/containerd') or not os.path.exists('/usr/bin/containerd-shim-runc-v2'):
        note('no containerd: its rows are missing')
        return None
    try:
        return Daemon(os.path.dirname(os.path.realpath(ctx.runtimes['runsc'])))
    except OSError as e:
        note(f'containerd: {e}')
        return None


def one_pod(d, wanted, label, nr):
    pod, second = f'{label}-p{nr}', f'{label}-c{nr}'
    try:
        d.run(label, pod, pod)
        mine = shims(d, label)
        memory = [pss(mine[0]), sum(map(pss, family(mine[0])))] if len(mine) == 1 else []
        d.run(label, second, pod)
        values = [d.start_time(pod), d.start_time(second)] + memory
        yield from ((row, v) for row, v in zip(PER_ROUND, values) if row in wanted)
    finally:
        d.remove(second, pod)


def many_pods(d, wanted, label):
    names = [f'{label}-n{i}' for i in range(PODS)]
    try:
        begin = time.monotonic_ns()
        for n in names:
            d.run(label, n, n)
        took = time.monotonic_ns() - begin
        running = sum(1 for l in d.ctr('task', 'ls').stdout.splitlines() if l.startswith(label + '-n') and 'RUNNING' in l)
        if running != PODS:
            raise OSError(f'{label}: {running} of {PODS} pods run')
        memory = sum(sum(map(pss, family(s))) for s in shims(d, label))
        yield from ((row, v) for row, v in zip(ALIVE, [took, memory / PODS]) if row in wanted)
    finally:
        d.remove(*names)


def measure(d, ctx, wanted, label, nr):
    if not d or label not in RUNTIME:
        return
    try:
        if any(r in wanted for r in PER_ROUND):
            yield from one_pod(d, wanted, label, nr)
        if nr == 0 and any(r in wanted for r in ALIVE):
            yield from many_pods(d, wanted, label)
    except (OSError, subprocess.TimeoutExpired) as e:
        note(f'containerd: {e}')


def finish(d):
    if d:
        d.close()

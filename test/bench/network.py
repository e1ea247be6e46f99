# SPDX-License-Identifier: Apache-2.0
"""network.py - rows of the network: throughput, latency, redis, nginx, idle connections, floods

Each runtime has two containers, a and b, that stay for the whole run. In namespaces: h (the host's side) -- eth0 of a,
eth1 of a -- eth0 of b. Servers run where they are needed and are idle between measurements.
"""
import json, os, re, resource, shutil, subprocess, time

from rows import Row, TOP, note, quiet, sh

SECS = 2
IDLE = 10000

# row -> (where the client is, where the server is, server's address, streams, reversed)
IPERF = {
    'iperf3 loopback': (1.0, 'a', 'a', '127.0.0.1', 1, False),
    'iperf3 loopback 8 streams': (1.0, 'a', 'a', '127.0.0.1', 8, False),
    'iperf3 host to sandbox': (0.8, 'h', 'a', '{ha_a}', 1, False),
    'iperf3 host to sandbox 8 streams': (0.8, 'h', 'a', '{ha_a}', 8, False),
    'iperf3 sandbox to host': (0.8, 'a', 'h', '{ha_h}', 1, False),
    'iperf3 sandbox to host 8 streams': (0.8, 'a', 'h', '{ha_h}', 8, False),
    'iperf3 sandbox to sandbox': (0.8, 'a', 'b', '{ab_b}', 1, False),
    'iperf3 sandbox to sandbox 8 streams': (0.8, 'a', 'b', '{ab_b}', 8, False),
    'iperf3 sandbox to sandbox back': (0.8, 'a', 'b', '{ab_b}', 1, True),
    'iperf3 sandbox to sandbox back 8 streams': (0.8, 'a', 'b', '{ab_b}', 8, True),
}
# row -> (target, client, server's address, flood against a meanwhile)
RR = {
    'tcp_rr loopback': (1.2, 'a', '127.0.0.1', None),
    'tcp_rr host to sandbox': (1.2, 'h', '{ha_a}', None),
    'tcp_rr sandbox to sandbox': (1.2, 'b', '{ab_a}', None),
    'tcp_rr during SYN flood': (None, 'b', '{ab_a}', 'syn'),
    'tcp_rr during garbage flood': (None, 'b', '{ab_a}', 'garbage'),
}
REDIS = { # row -> (client, server's address, test)
    'redis-benchmark set loopback': ('a', '127.0.0.1', 'set'),
    'redis-benchmark get loopback': ('a', '127.0.0.1', 'get'),
    'redis-benchmark set veth': ('h', '{ha_a}', 'set'),
    'redis-benchmark get veth': ('h', '{ha_a}', 'get'),
}
NGINX = { # row -> (client, server's address)
    'nginx + wrk loopback': ('a', '127.0.0.1'),
    'nginx + wrk veth': ('h', '{ha_a}'),
}
ROWS = {
    **{n: Row(v[0], 'rate') for n, v in IPERF.items()},
    **{n: Row(v[0]) for n, v in RR.items()},
    **{n: Row(0.9, 'ops') for n in REDIS},
    **{n: Row(0.9, 'ops') for n in NGINX},
    'memory of an idle connection': Row(4096, 'bytes', absolute=True),
}
NEEDS = [(IPERF, 'iperf3'), (REDIS, 'redis-benchmark'), (NGINX, 'wrk')]


def missing_program(row):
    return next((p for rows, p in NEEDS if row in rows and not shutil.which(p)), None)


class Side:
    """The two containers of one runtime, their namespaces and addresses."""

    def __init__(self, ctx, label, k, rootfs):
        self.ctx, self.label = ctx, label
        tag = f'{os.getpid() % 100000}{k}'
        self.ns = {s: f'nb{tag}{s}' for s in 'hab'}
        self.ids = {s: f'{label}-{s}' for s in 'ab'}
        self.ip = {'ha_h': f'10.9{k}.0.1', 'ha_a': f'10.9{k}.0.2', 'ab_a': f'10.9{k}.1.1', 'ab_b': f'10.9{k}.1.2'}
        self.procs, self.started = [], set()
        self.rootfs = rootfs

    def up(self):
        h, a, b = (self.ns[s] for s in 'hab')
        for n in (h, a, b):
            sh(['ip', 'netns', 'add', n])
        sh(['ip', '-n', a, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'up0', 'netns', h])
        sh(['ip', '-n', a, 'link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', b])
        for n, dev, ip in ((h, 'up0', 'ha_h'), (a, 'eth0', 'ha_a'), (a, 'eth1', 'ab_a'), (b, 'eth0', 'ab_b')):
            sh(['ip', '-n', n, 'addr', 'add', self.ip[ip] + '/24', 'dev', dev])
            sh(['ip', '-n', n, 'link', 'set', dev, 'up'])
        for n in (h, a, b):
            sh(['ip', '-n', n, 'link', 'set', 'lo', 'up'])
        sh(['ip', '-n', a, 'route', 'add', 'default', 'via', self.ip['ha_h']])
        with os.popen(f'ip -n {a} -j link show eth0') as p:
            self.mac = json.load(p)[0]['address']
        for s in 'ab':
            bundle = self.ctx.bundle(f'net-{self.label}-{s}', self.rootfs, ['/bin/sleep', '1000000'], lambda c: self.config(c, s))
            with open(bundle + '/log', 'w+') as log: # a pipe would never end
                p = subprocess.run(self.ctx.argv(self.label, 'run', '--detach', '--bundle', bundle, self.ids[s]),
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60)
                if p.returncode:
                    log.seek(0)
                    raise RuntimeError(f'{self.label} run: {log.read()[-300:]}')

    def config(self, c, s):
        for n in c['linux']['namespaces']:
            if n['type'] == 'network':
                n['path'] = '/run/netns/' + self.ns[s]
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] # whoever may not raise it may still pass it on
        c['process']['rlimits'] = [{'type': 'RLIMIT_NOFILE', 'hard': most, 'soft': most}]

    def wrap(self, where, argv, detach=False):
        if where == 'h':
            return ['ip', 'netns', 'exec', self.ns['h']] + argv
        return self.ctx.argv(self.label, 'exec', *(['--detach'] if detach else []), self.ids[where], *argv)

    def client(self, where, argv, timeout=60):
        p = subprocess.run(self.wrap(where, argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
        if p.returncode:
            raise RuntimeError(f'{argv[0]}: status {p.returncode}: {(p.stderr + p.stdout).decode()[-200:]}')
        return p.stdout.decode()

    def server(self, where, argv):
        """Started once, for all rows that need it."""
        key = (where, tuple(argv))
        if key in self.started:
            return
        self.started.add(key)
        p = subprocess.Popen(self.wrap(where, argv), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.procs.append(p)
        time.sleep(0.7)

    def at(self, text):
        return text.format(**self.ip)

    def down(self):
        for s in 'ab':
            quiet(self.ctx.argv(self.label, 'delete', '--force', self.ids[s]))
        for p in self.procs:
            p.kill()
            p.wait()
        for n in self.ns.values():
            quiet(['ip', 'netns', 'del', n])


def iperf(side, row):
    _, client, server, addr, streams, rev = IPERF[row]
    side.server(server, ['iperf3', '-s'])
    argv = ['iperf3', '-c', side.at(addr), '-t', str(SECS), '-J', '-P', str(streams)] + (['-R'] if rev else [])
    for attempt in range(2): # the server refuses a client while it still ends the one before
        try:
            got = json.loads(side.client(client, argv))
            if 'error' in got:
                raise RuntimeError(got['error'])
            return got['end']['sum_received']['bits_per_second'] / 8
        except (RuntimeError, KeyError):
            if attempt:
                raise
            time.sleep(1)


def rr(side, row):
    _, client, addr, flood = RR[row]
    side.server('a', ['/netload', 'serve', '7007'])
    f = None
    if flood:
        target = [side.ip['ha_a']] + (['7007'] if flood == 'syn' else [])
        f = subprocess.Popen(side.wrap('h', [side.rootfs + '/netload', flood, 'up0', side.mac, *target, str(SECS + 1)]), stdout=subprocess.DEVNULL)
        time.sleep(0.3)
    try:
        program = side.rootfs + '/netload' if client == 'h' else '/netload'
        return float(side.client(client, [program, 'rr', side.at(addr), '7007', str(SECS)]))
    finally:
        if f:
            f.wait()


def redis(side, row):
    client, addr, test = REDIS[row]
    side.server('a', ['redis-server', '--port', '6379', '--bind', '0.0.0.0', '--protected-mode', 'no', '--save', '', '--dir', '/tmp'])
    out = side.client(client, ['redis-benchmark', '-h', side.at(addr), '-p', '6379', '-t', test, '-n', '60000', '-c', '50', '--csv'])
    return float(out.strip().splitlines()[-1].split(',')[1].strip('"'))


NGINX_CONF = '''daemon off; master_process off; worker_processes 1; pid /tmp/nginx.pid; error_log /dev/null;
events { worker_connections 512; }
http { access_log off; keepalive_requests 1000000; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f;
uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; server { listen 8081; location / { root /www; } } }
'''


def nginx(side, row):
    client, addr = NGINX[row]
    side.server('a', ['nginx', '-c', '/nginx-bench.conf'])
    out = side.client(client, ['wrk', '-t', '1', '-c', '32', '-d', f'{SECS}s', f'http://{side.at(addr)}:8081/index.html'])
    return float(re.search(r'Requests/sec:\s+([\d.]+)', out).group(1))


def sentry_pss(cid):
    """Proportional set size of the sandbox's Sentry, 0 when the runtime has none."""
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline') as f:
                argv = f.read().split('\0')
            if 'boot' in argv[:2] and f'--id={cid}' in argv:
                with open(f'/proc/{pid}/smaps_rollup') as f:
                    return int(re.search(r'^Pss:\s+(\d+)', f.read(), re.M).group(1)) * 1024
        except OSError:
            pass
    return 0


def idle_memory(side):
    before = sentry_pss(side.ids['a'])
    if not before:
        return None
    srv = subprocess.Popen(side.wrap('a', ['/netload', 'hold', '7008']), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    cl = subprocess.Popen(side.wrap('h', [side.rootfs + '/netload', 'idle', side.ip['ha_a'], '7008', str(IDLE)]),
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if cl.stdout.readline() != b'ready\n':
            raise RuntimeError('not all connections came about')
        while int(srv.stdout.readline() or 0) < IDLE:
            pass
        time.sleep(1)
        return (sentry_pss(side.ids['a']) - before) / IDLE
    finally:
        cl.stdin.close()
        cl.wait()
        quiet(side.wrap('a', ['/bin/sh', '-c', 'kill $(pidof netload)']))
        srv.kill()
        srv.wait()


def one(side, row):
    for rows, fn in ((IPERF, iperf), (RR, rr), (REDIS, redis), (NGINX, nginx)):
        if row in rows:
            return fn(side, row)
    return idle_memory(side)


def prepare(ctx, wanted):
    root = ctx.host_rootfs()
    sh(['gcc', '-std=gnu17', '-D_GNU_SOURCE', '-O2', '-static', '-pthread', '-o', root + '/netload', TOP + '/test/net/netload.c'])
    os.makedirs(root + '/www', exist_ok=True)
    with open(root + '/nginx-bench.conf', 'w') as f:
        f.write(NGINX_CONF)
    with open(root + '/www/index.html', 'w') as f:
        f.write('x' * 612)
    sides = {}
    try:
        for k, label in enumerate(ctx.runtimes):
            sides[label] = Side(ctx, label, k, root)
            sides[label].up()
    except BaseException:
        finish(sides)
        raise
    return sides


def measure(sides, ctx, wanted, label, nr):
    for row in wanted:
        if missing_program(row):
            continue
        try:
            v = one(sides[label], row)
            if v is not None:
                yield row, v
        except (RuntimeError, KeyError, ValueError, AttributeError, OSError, subprocess.TimeoutExpired) as e:
            note(f'{label}: {row}: {e}')


def finish(sides):
    for s in sides.values():
        s.down()

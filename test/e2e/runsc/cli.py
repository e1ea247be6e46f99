# SPDX-License-Identifier: Apache-2.0
# test/e2e/runsc/cli.py - every command, its texts and exit statuses; run by ../runsc_cli.sh
import json, os, pathlib, random, shutil, signal, socket, subprocess, sys, tempfile, threading, time, array

RUNSC = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ''
TMP = tempfile.mkdtemp(prefix='runsc-cli.')
ROOT = TMP + '/root'
random.seed(4)
tests = []

def test(fn):
    tests.append(fn)
    return fn

class Failed(Exception):
    pass

def check(cond, what):
    if not cond:
        raise Failed(what)

def run(*args, ok=None, timeout=20, glob=(), **kw):
    # files, not pipes: a detached container keeps them open
    with tempfile.TemporaryFile('w+', dir=TMP) as out, tempfile.TemporaryFile('w+', dir=TMP) as err:
        p = subprocess.run([RUNSC, '--root', ROOT, *glob, *args], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                           timeout=timeout, **kw)
        out.seek(0), err.seek(0)
        p.stdout, p.stderr = out.read(), err.read()
    if ok is True:
        check(p.returncode == 0, f'{args}: status {p.returncode}: {p.stderr}')
    if ok is False:
        check(p.returncode != 0, f'{args}: succeeded')
    return p

def spec(argv, **over):
    s = {
        'ociVersion': '1.0.2',
        'process': {'args': argv, 'cwd': '/', 'env': ['PATH=/bin'], 'user': {'uid': 0, 'gid': 0}},
        'root': {'path': 'rootfs', 'readonly': True},
        'hostname': 'h',
        'mounts': [{'destination': '/proc', 'type': 'proc', 'source': 'proc'}],
        'linux': {'namespaces': [{'type': t} for t in ('pid', 'network', 'ipc', 'uts', 'mount')]},
    }
    for k, v in over.items():
        if isinstance(v, dict) and isinstance(s.get(k), dict):
            s[k].update(v)
        else:
            s[k] = v
    return s

def bundle(conf, name=None):
    b = tempfile.mkdtemp(dir=TMP, prefix='bundle.')
    os.makedirs(b + '/rootfs/bin')
    if conf is not None:
        with open(b + '/config.json', 'w') as f:
            f.write(conf if isinstance(conf, str) else json.dumps(conf))
    return b

def leftovers(ident):
    bad = []
    if os.path.exists(f'{ROOT}/{ident}'):
        bad.append(f'{ROOT}/{ident}')
    for d, sub, _ in os.walk('/sys/fs/cgroup'):
        if ident in sub:
            bad.append(f'{d}/{ident}')
    for p in os.listdir('/proc'):
        if not p.isdigit():
            continue
        try:
            cmd = open(f'/proc/{p}/cmdline').read()
            if f'--id={ident}\0' in cmd or (f'{ROOT}\0' in cmd and ident in cmd.split('\0')):
                if open(f'/proc/{p}/stat').read().rsplit(')', 1)[1].split()[0] != 'Z':
                    bad.append(f'process {p}: {cmd!r}')
        except OSError:
            pass
    return bad

def clean(ident):
    for _ in range(20):
        left = leftovers(ident)
        if not left:
            return
        time.sleep(0.02)
    raise Failed(f'left behind: {left}')

def state(ident):
    return json.loads(run('state', ident, ok=True).stdout)

counter = 0
def fresh(prefix='c'):
    global counter
    counter += 1
    return f'{prefix}{os.getpid()}-{counter}'

# ---- the simple ones -------------------------------------------------------------------------------

@test
def version():
    for flag in ('--version', '-version', '-v'):
        out = subprocess.run([RUNSC, flag], capture_output=True, text=True).stdout.splitlines()
        check(out[0].startswith('runsc version ') and out[1].startswith('spec: 1.'), out)

@test
def features():
    f = json.loads(subprocess.run([RUNSC, 'features'], capture_output=True, text=True, user='nobody').stdout)
    check(f['ociVersionMin'] and f['ociVersionMax'], 'versions')
    check('rro' in f['mountOptions'] and 'pid' in f['linux']['namespaces'], 'lists')
    check(f['linux']['cgroup']['v2'] is True, 'cgroup')
    check('dev.gvisor.flag.debug' in f['annotations'], 'annotations')

# Wrong options and numbers of arguments are told in one sentence that names the command, with status 1: of exec, too, whose
# other failures are 255 (runc(8) exits so).
@test
def usage_errors():
    few = [[c] for c in ('run', 'create', 'start', 'kill', 'delete', 'exec', 'state', 'ps', 'pause', 'resume', 'update', 'events')]
    for args in few + [['exec', '--bogus', 'c', 'sh'], ['exec', '-e'], ['kill', 'c', 'KILL', 'x'], ['run', 'a', 'b'], ['list', 'x']]:
        p = run(*args)
        check(p.returncode == 1, f'{args}: status {p.returncode}')
        check(p.stderr.startswith(args[0] + ': ') and p.stderr.count('\n') == 1, f'{args}: {p.stderr}')
    for args in (['exec', 'nosuch', 'sh'], ['exec', '', 'sh'], ['exec', 'nosuch']):
        check(run(*args).returncode == 255, args)
    for args in (['start', 'nosuch'], ['state', ''], ['kill', 'nosuch'], ['ps', 'nosuch']):
        check(run(*args).returncode == 1, args)

@test
def spec_command():
    b = bundle(None)
    run('spec', '--bundle', b, ok=True)
    s = json.load(open(b + '/config.json'))
    check(s['process']['args'] == ['sh'] and s['process']['terminal'] is True, s['process'])
    p = run('spec', '--bundle', b, ok=False)
    check('exists' in p.stderr, p.stderr)

@test
def unknown_things():
    check('unknown command' in run('frobnicate', ok=False).stderr, 'command')
    check('not defined' in run('list', ok=False, glob=['--no-such-flag']).stderr, 'global flag')
    check('not defined' in run('state', '--nope', 'x', ok=False).stderr, 'option')
    check('does not exist' in run('state', 'nobody-there', ok=False).stderr, 'state')
    check('does not exist' in run('kill', 'nobody-there', 'KILL', ok=False).stderr, 'kill')
    check('does not exist' in run('delete', 'nobody-there', ok=False).stderr, 'delete')
    run('delete', '--force', 'nobody-there', ok=True)
    for bad in ('../x', 'a/b', '', 'a b', '.', '..', 'x' * 300):
        p = run('create', '--bundle', bundle(spec(['sleep'])), bad, ok=False)
        check('container id' in p.stderr.lower(), f'{bad!r}: {p.stderr}')

# ---- life --------------------------------------------------------------------------------------------

@test
def life():
    i, b = fresh(), bundle(spec(['sleep']))
    run('create', '--bundle', b, '--pid-file', b + '/pid', i, ok=True)
    s = state(i)
    check(s['status'] == 'created' and s['bundle'] == b and s['id'] == i, s)
    check(s['pid'] == int(open(b + '/pid').read()), 'pid file')
    os.kill(s['pid'], 0)
    check('already exists' in run('create', '--bundle', b, i, ok=False).stderr, 'same id')
    run('start', i, ok=True)
    check(state(i)['status'] == 'running', 'running')
    check('running' in run('start', i, ok=False).stderr, 'start twice')
    check('not stopped' in run('delete', i, ok=False).stderr, 'delete while running')
    check(i in run('list', '-q', ok=True).stdout.split(), 'list -q')
    check(any(c['id'] == i for c in json.loads(run('list', '--format', 'json', ok=True).stdout)), 'list json')
    pids = json.loads(run('ps', '--format', 'json', i, ok=True).stdout)
    check(pids[0] == s['pid'] and all(isinstance(p, int) for p in pids), pids)
    check('fake' in run('ps', i, ok=True).stdout, 'ps table')
    run('pause', i, ok=True)
    check(state(i)['status'] == 'paused', 'paused')
    run('pause', i, ok=False)
    run('exec', i, 'exit', '0', ok=False)
    run('resume', i, ok=True)
    check(state(i)['status'] == 'running', 'resumed')
    e = json.loads(run('events', '--stats', i, ok=True).stdout)
    check(e['type'] == 'stats' and e['id'] == i and 'usage' in e['data']['memory'], e)
    run('kill', i, 'KILL', ok=True)
    for _ in range(100):
        if state(i)['status'] == 'stopped':
            break
        time.sleep(0.01)
    check(state(i)['status'] == 'stopped' and state(i)['pid'] == 0, state(i))
    p = run('kill', i, 'TERM', ok=False)
    check('container not running' in p.stderr, p.stderr)
    run('kill', '--all', i, 'KILL', ok=True)
    check('not running' in run('exec', i, 'exit', '0', ok=False).stderr, 'exec when stopped')
    run('delete', i, ok=True)
    clean(i)
    check('does not exist' in run('delete', i, ok=False).stderr, 'delete twice')

@test
def run_foreground():
    for code in (0, 3, 255):
        i = fresh()
        p = run('run', '--bundle', bundle(spec(['exit', str(code)])), i)
        check(p.returncode == code, f'{code}: {p.returncode} {p.stderr}')
        check(p.stdout == 'fake: running\n', p.stdout)
        clean(i)

@test
def run_forwards_signals():
    for signo, want in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        i = fresh()
        p = subprocess.Popen([RUNSC, '--root', ROOT, 'run', '--bundle', bundle(spec(['sleep'])), i], stdout=subprocess.PIPE)
        check(p.stdout.readline() == b'fake: running\n', 'start')
        p.send_signal(signo)
        check(p.wait(10) == want, p.returncode)
        clean(i)

@test
def run_detached():
    i = fresh()
    run('run', '--detach', '--bundle', bundle(spec(['sleep'])), i, ok=True, glob=[])
    check(state(i)['status'] == 'running', 'status')
    w = subprocess.Popen([RUNSC, '--root', ROOT, 'wait', i], stdout=subprocess.PIPE, text=True)
    time.sleep(0.1)
    run('kill', i, '9', ok=True)
    check(json.loads(w.communicate(timeout=10)[0]) == {'id': i, 'exitStatus': 137}, 'wait')
    run('delete', '--force', i, ok=True)
    clean(i)

@test
def run_keep():
    i = fresh()
    check(run('run', '--keep', '--bundle', bundle(spec(['exit', '7'])), i).returncode == 7, 'status')
    check(state(i)['status'] == 'stopped', 'kept')
    check(json.loads(run('wait', i, ok=True).stdout)['exitStatus'] == 7, 'wait afterwards')
    run('delete', i, ok=True)
    clean(i)

@test
def exec_command():
    i, b = fresh(), bundle(spec(['sleep']))
    run('run', '-d', '--bundle', b, i, ok=True)
    p = run('exec', i, 'exit', '5')
    check(p.returncode == 5 and p.stdout == 'fake: running\n', f'{p.returncode} {p.stdout} {p.stderr}')
    check(run('exec', '--user', '1:2', '--cwd', '/x', '--env', 'A=b', '--cap', 'CAP_KILL', i, 'exit', '6').returncode == 6, 'options')
    check('user' in run('exec', '--user', 'root', i, 'exit', '0', ok=False).stderr, 'user by name')
    with open(b + '/p.json', 'w') as f:
        json.dump({'args': ['exit', '9'], 'cwd': '/', 'user': {'uid': 0, 'gid': 0}}, f)
    check(run('exec', '--process', b + '/p.json', i).returncode == 9, '--process')
    run('exec', '--process', b + '/p.json', '--detach', '--pid-file', b + '/e.pid', i, ok=True)
    run('exec', '--detach', '--pid-file', b + '/e2.pid', i, 'sleep', ok=True)
    keeper = int(open(b + '/e2.pid').read())
    check('keeper' in open(f'/proc/{keeper}/cmdline').read(), 'keeper')
    p = run('exec', i, 'missing', ok=False)
    check('executable file not found in $PATH' in p.stderr and p.returncode == 255, p.stderr)
    check('no program' in run('exec', i, ok=False).stderr, 'no program')
    run('delete', '--force', i, ok=True)
    for _ in range(100):
        if not os.path.exists(f'/proc/{keeper}') or ' Z ' in open(f'/proc/{keeper}/stat').read():
            break
        time.sleep(0.01)
    else:
        raise Failed('keeper outlives the sandbox')
    clean(i)

@test
def program_texts():
    for word, text in (('missing', 'executable file not found in $PATH'), ('denied', 'permission denied')):
        i = fresh()
        for cmd in ('create', 'run'):
            p = run(cmd, '--bundle', bundle(spec([word])), i, ok=False)
            check(text in p.stderr and p.returncode == 1, p.stderr)
            clean(i)

@test
def sandbox_dies():
    i = fresh()
    p = run('create', '--bundle', bundle(spec(['die'])), i, ok=False)
    check('sandbox' in p.stderr, p.stderr)
    clean(i)
    i = fresh()
    run('run', '-d', '--bundle', bundle(spec(['sleep'])), i, ok=True)
    sentry = json.load(open(f'{ROOT}/{i}/state.json'))['sentry']['pid']
    os.kill(sentry, 9)
    for _ in range(200):
        if state(i)['status'] == 'stopped':
            break
        time.sleep(0.01)
    check(state(i)['status'] == 'stopped', 'stopped after the sandbox died')
    run('delete', i, ok=True)
    clean(i)

@test
def log_json():
    log = TMP + '/log.json'
    p = run('create', '--bundle', '/nowhere', 'x', ok=False, glob=['--log', log, '--log-format=json'])
    last = [json.loads(l) for l in open(log)][-1]
    check(last['level'] == 'error' and last['msg'] == p.stderr.strip() and 'time' in last, last)
    check(oct(os.stat(log).st_mode & 0o777) == '0o644', 'mode')
    i = fresh()
    os.unlink(log)
    run('run', '--bundle', bundle(spec(['exit', '0'])), i, ok=True, glob=['--log', log])
    check(os.path.exists(log), 'created also by success')

@test
def console_socket():
    i, b = fresh(), bundle(spec(['sleep'], process={'terminal': True, 'consoleSize': {'height': 30, 'width': 90}}))
    path = TMP + '/tty.sock'
    srv = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    srv.bind(path)
    srv.listen(1)
    got = {}
    def take():
        c, _ = srv.accept()
        msg, fds, _, _ = socket.recv_fds(c, 64, 4)
        got['msg'], got['fd'] = msg, fds[0]
    t = threading.Thread(target=take)
    t.start()
    run('create', '--console-socket', path, '--bundle', b, i, ok=True)
    t.join(5)
    check('fd' in got and os.isatty(got['fd']), got)
    check(os.get_terminal_size(got['fd']) == (90, 30), os.get_terminal_size(got['fd']))
    run('start', i, ok=True)
    check(os.read(got['fd'], 100) == b'fake: running\n', 'output, unprocessed')
    run('delete', '-f', i, ok=True)
    os.close(got['fd'])
    srv.close()
    p = run('create', '--bundle', b, fresh(), ok=False)
    check('console socket' in p.stderr, p.stderr)
    clean(i)

# ---- cgroups, hooks, pods -------------------------------------------------------------------------------

def v1(controller):
    return os.path.isdir(f'/sys/fs/cgroup/{controller}') and not os.path.exists('/sys/fs/cgroup/cgroup.controllers')

@test
def cgroups():
    i = fresh()
    res = {'memory': {'limit': 67108864}, 'cpu': {'shares': 512, 'quota': 50000, 'period': 100000}, 'pids': {'limit': 100}}
    b = bundle(spec(['sleep'], linux={'cgroupsPath': f'/runsc-test-{os.getpid()}/{i}', 'resources': res}))
    run('run', '-d', '--bundle', b, i, ok=True)
    st = json.load(open(f'{ROOT}/{i}/state.json'))
    if v1('memory'):
        base = lambda c: f'/sys/fs/cgroup/{c}/runsc-test-{os.getpid()}/{i}'
        check(open(base('memory') + '/memory.limit_in_bytes').read().strip() == '67108864', 'memory')
        check(open(base('cpu') + '/cpu.cfs_quota_us').read().strip() == '50000', 'quota')
        check(open(base('pids') + '/pids.max').read().strip() == '100', 'pids')
        for c in ('memory', 'cpu', 'pids', 'freezer'):
            check(str(st['zygote']['pid']) in open(base(c) + '/cgroup.procs').read().split(), f'zygote in {c}')
        run('update', '--memory', '128m', '--pids-limit', '50', i, ok=True)
        check(open(base('memory') + '/memory.limit_in_bytes').read().strip() == '134217728', 'update')
        subprocess.run([RUNSC, '--root', ROOT, 'update', '--resources=-', i], input='{"cpu":{"shares":300}}', text=True, check=True)
        check(open(base('cpu') + '/cpu.shares').read().strip() == '300', 'update from stdin')
        p = subprocess.run([RUNSC, '--root', ROOT, 'update', '-r', '-', i], input='{"cpu":{"shares":"x"}}', text=True,
                           capture_output=True)
        check('resources.cpu.shares must be' in p.stderr, p.stderr)
    run('delete', '--force', i, ok=True)
    clean(i)
    i = fresh()
    b = bundle(spec(['sleep'], linux={'cgroupsPath': f'/runsc-test-{os.getpid()}/{i}', 'resources': {'cpu': {'cpus': '900-901'}}}))
    p = run('create', '--bundle', b, i, ok=False)
    check('cpuset.cpus' in p.stderr, p.stderr)
    clean(i)
    for d in pathlib.Path('/sys/fs/cgroup').glob(f'*/runsc-test-{os.getpid()}'):
        d.rmdir()

@test
def hooks():
    i = fresh()
    out = TMP + '/hooks'
    h = lambda name, extra='': [{'path': '/bin/sh', 'args': ['sh', '-c', f'echo {name} $(cat) >> {out}; {extra}'], 'env': ['PATH=/bin:/usr/bin'], 'timeout': 5}]
    b = bundle(spec(['exit', '0'], hooks={'prestart': h('prestart'), 'createRuntime': h('createRuntime'),
               'createContainer': h('createContainer'), 'poststart': h('poststart'), 'poststop': h('poststop')}))
    run('run', '--bundle', b, i, ok=True)
    lines = open(out).read().splitlines()
    check([l.split()[0] for l in lines if l.split()[0].startswith(('pre', 'create', 'post'))] ==
          ['prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop'], lines)
    check([json.loads(l.split(' ', 1)[1])['id'] for l in lines] == [i] * 5, 'state on stdin')
    clean(i)
    i = fresh()
    p = run('run', '--bundle', bundle(spec(['exit', '0'], hooks={'createRuntime': h('x', 'echo sad >&2; exit 3')})), i, ok=False)
    check('createRuntime' in p.stderr and 'sad' in p.stderr and 'status 3' in p.stderr, p.stderr)
    clean(i)
    i = fresh()
    slow = [{'path': '/bin/sleep', 'args': ['sleep', '30'], 'timeout': 1}]
    p = run('run', '--bundle', bundle(spec(['exit', '0'], hooks={'createRuntime': slow})), i, ok=False)
    check('did not end' in p.stderr, p.stderr)
    clean(i)

@test
def pod():
    pause, app = fresh('pod'), fresh('app')
    cri = lambda kind, sb: {'io.kubernetes.cri.container-type': kind, 'io.kubernetes.cri.sandbox-id': sb}
    p = run('create', '--bundle', bundle(spec(['sleep'], annotations=cri('container', pause))), app, ok=False)
    check(f'join sandbox {pause}' in p.stderr, p.stderr)
    clean(app)
    run('run', '-d', '--bundle', bundle(spec(['sleep'], annotations=cri('sandbox', pause))), pause, ok=True)
    run('run', '-d', '--bundle', bundle(spec(['sleep'], annotations=cri('container', pause))), app, ok=True)
    a, b = (json.load(open(f'{ROOT}/{x}/state.json')) for x in (pause, app))
    check(a['sentry'] == b['sentry'] and a['gofer'] != b['gofer'] and b['zygote']['pid'], 'one sandbox')
    run('kill', app, 'KILL', ok=True)
    run('delete', '--force', app, ok=True)
    clean(app)
    check(state(pause)['status'] == 'running', 'the pod lives on')
    run('delete', '--force', pause, ok=True)
    clean(pause)

def ip(*args):
    return subprocess.run(['ip', *args], check=True, capture_output=True, text=True).stdout

def addresses(ns):
    return sorted(a['local'] for l in json.loads(ip('-n', ns, '-j', 'addr', 'show', 'dev', 'eth0')) for a in l['addr_info'])

@test
def network_by_path():
    ns, i, log = f'rt{os.getpid()}', fresh(), TMP + '/net.log'
    ip('netns', 'add', ns)
    try:
        ip('-n', ns, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'peer0')
        ip('-n', ns, 'addr', 'add', '10.9.8.7/24', 'dev', 'eth0')
        for l in ('lo', 'eth0', 'peer0'):
            ip('-n', ns, 'link', 'set', l, 'up')
        ip('-n', ns, 'route', 'add', 'default', 'via', '10.9.8.1')
        before, routes = addresses(ns), ip('-n', ns, 'route')
        b = bundle(spec(['sleep'], linux={'namespaces': [{'type': 'network', 'path': f'/var/run/netns/{ns}'}, {'type': 'uts'}]}))
        run('run', '-d', '--bundle', b, i, ok=True, glob=['--debug-log', log])
        said = open(log).read()
        check('fds\n' in said and 'link eth0 mtu 1500 mac 6' in said and 'packet 1' in said and 'link lo' in said, said)
        check(not [a for a in addresses(ns) if '.' in a], 'the host still has the address')
        run('delete', '--force', i, ok=True)
        check([a for a in addresses(ns) if '.' in a] == [a for a in before if '.' in a], 'address restored')
        check(ip('-n', ns, 'route') == routes, ip('-n', ns, 'route'))
        clean(i)
    finally:
        ip('netns', 'del', ns)

@test
def network_by_cni():
    bins = next((d for d in ('/opt/cni/bin', '/usr/lib/cni') if os.path.exists(d + '/bridge')), None)
    if not bins:
        print('skip runsc_cli/network_by_cni: no CNI plugins')
        return
    ns, i, log, data = f'rc{os.getpid()}', fresh(), TMP + '/cni.log', TMP + '/cni-data'
    conf = TMP + '/10-test.conflist'
    json.dump({'cniVersion': '0.4.0', 'name': 'runsc-test', 'plugins': [{'type': 'bridge', 'bridge': 'rtest0', 'isGateway': True,
               'ipam': {'type': 'host-local', 'dataDir': data, 'subnet': '10.99.5.0/24', 'routes': [{'dst': '0.0.0.0/0'}]}}]}, open(conf, 'w'))
    ip('netns', 'add', ns)
    try:
        cmd = ['ip', 'netns', 'exec', ns, RUNSC, '--root', ROOT, '--debug-log', log, '--cni-conf', conf, '--cni-bin', bins]
        p = subprocess.run(cmd + ['run', '-d', '--bundle', bundle(spec(['sleep'])), i], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=open(TMP + '/cni.err', 'w'), timeout=30)
        check(p.returncode == 0, open(TMP + '/cni.err').read())
        check('link eth0' in open(log).read(), open(log).read())
        leases = lambda: [f for f in os.listdir(data + '/runsc-test') if f[0].isdigit()]
        check(len(leases()) == 1, leases())
        subprocess.run(cmd + ['delete', '--force', i], check=True, timeout=30)
        check(leases() == [], 'lease released')
        clean(i)
    finally:
        ip('netns', 'del', ns)

# ---- bad configurations ------------------------------------------------------------------------------------

def without(*path):
    s = spec(['sleep'])
    d = s
    for k in path[:-1]:
        d = d[k]
    del d[path[-1]]
    return s

def mount(**m):
    return spec(['sleep'], mounts=[m])

BAD = [
    (None, 'config.json not found'),
    ('', 'config.json is empty'),
    ('{', 'truncated'),
    (json.dumps(spec(['sleep']))[:200], 'truncated'),
    ('[]', 'must be a JSON object'),
    ('null', 'must be a JSON object'),
    ('12', 'must be a JSON object'),
    ('{"ociVersion": 1}', 'ociVersion must be a string, not a number'),
    ('nonsense', 'not valid JSON'),
    ('{"a":' * 200 + '1' + '}' * 200, 'nesting'),
    (json.dumps(spec(['sleep'])) + 'x', 'not valid JSON'),
    (without('ociVersion'), 'ociVersion is missing'),
    (spec(['sleep'], ociVersion='2.0.0'), 'ociVersion "2.0.0" is not supported'),
    (without('process'), 'process is missing'),
    (without('process', 'args'), 'process.args'),
    (spec([]), 'process.args must have at least one element'),
    (spec([1]), 'process.args[0] must be a string'),
    (spec('ls'), 'process.args must be an array'),
    (without('process', 'cwd'), 'process.cwd is missing'),
    (spec(['sleep'], process={'cwd': 'tmp'}), 'process.cwd must be an absolute path'),
    (spec(['sleep'], process={'user': {'uid': -1}}), 'process.user.uid is out of range'),
    (spec(['sleep'], process={'user': {'uid': 4294967296}}), 'process.user.uid is out of range'),
    (spec(['sleep'], process={'user': {'uid': 1.5}}), 'not a fraction'),
    (spec(['sleep'], process={'env': ['novalue']}), 'process.env[0]'),
    (spec(['a\0b']), 'NUL'),
    (spec(['sleep'], process={'rlimits': [{'type': 'RLIMIT_BOGUS', 'hard': 1, 'soft': 1}]}), 'RLIMIT_BOGUS'),
    (spec(['sleep'], process={'rlimits': [{'type': 'RLIMIT_CORE', 'hard': 1, 'soft': 2}]}), 'above the hard limit'),
    (spec(['sleep'], process={'oomScoreAdj': 2000}), 'oomScoreAdj'),
    (spec(['sleep'], process={'selinuxLabel': 'x'}), 'selinuxLabel'),
    (without('root'), 'root is missing'),
    (spec(['sleep'], linux={'sysctl': {'kernel.bogus': '1'}}), 'sysctl "kernel.bogus" is not in a separate kernel namespace'),
    (spec(['sleep'], linux={'sysctl': {'vm.overcommit_memory': '1'}}), 'sysctl "vm.overcommit_memory" is not in a separate kernel namespace'),
    (spec(['sleep'], linux={'sysctl': {'fs/file-max': '1'}}), 'sysctl "fs/file-max" is not in a separate kernel namespace'),
    (spec(['sleep'], linux={'sysctl': {'net/../kernel/panic': '1'}}), 'is not in a separate kernel namespace'),
    (spec(['sleep'], linux={'sysctl': {'': '1'}}), 'sysctl "" is not in a separate kernel namespace'),
    (spec(['sleep'], linux={'sysctl': {'kernel.hostname': 'x'}}), 'conflicts with the OCI "hostname" field'),
    (spec(['sleep'], linux={'sysctl': {'kernel.sem': '1'}, 'namespaces': [{'type': t} for t in ('uts', 'mount', 'network')]}),
     'sysctl "kernel.sem" is not allowed in the host\'s ipc namespace'),
    (spec(['sleep'], linux={'sysctl': {'fs.mqueue.msg_max': '1'}, 'namespaces': [{'type': t} for t in ('uts', 'mount', 'network')]}),
     'sysctl "fs.mqueue.msg_max" is not allowed in the host\'s ipc namespace'),
    (spec(['sleep'], root={'path': 'nowhere'}), 'No such file or directory'),
    (spec(['sleep'], root={'path': '/etc/passwd'}), 'not a directory'),
    (spec(['sleep'], root={'path': 5}), 'root.path must be a string'),
    (mount(destination='/x', type='ext4', source='/dev/sda'), 'file system type "ext4" cannot be mounted'),
    (mount(type='tmpfs'), 'mounts[0].destination is missing'),
    (mount(destination='/x', type='bind', source='/no/such/source'), 'mounts[0] (/x)'),
    (mount(destination='/x', type='bind'), 'needs a source'),
    (mount(destination='/x', type='tmpfs', options=['shared']), 'shared'),
    (mount(destination='/', type='tmpfs'), 'would hide the root'),
    (spec(['sleep'], linux={'namespaces': [{'type': 'bogus'}]}), 'type "bogus" is not known'),
    (spec(['sleep'], linux={'namespaces': [{'type': 'pid'}, {'type': 'pid'}]}), 'twice'),
    (spec(['sleep'], linux={'namespaces': [{'type': 'pid'}]}, hostname='', ), 'network namespace'),
    (spec(['sleep'], linux={'namespaces': [{'type': 'network', 'path': '/no/netns'}, {'type': 'uts'}]}), '/no/netns'),
    (spec(['sleep'], linux={'namespaces': [{'type': 'network'}]}), 'UTS namespace'),
    (spec(['sleep'], linux={'uidMappings': [{'containerID': 0, 'hostID': 0, 'size': 1}]}), 'user namespace'),
    (spec(['sleep'], linux={'devices': [{'path': '/dev/x', 'type': 'q'}]}), 'linux.devices[0].type'),
    (spec(['sleep'], linux={'maskedPaths': ['rel']}), 'maskedPaths[0] must be absolute'),
    (spec(['sleep'], linux={'cgroupsPath': '/'}), 'cgroupsPath'),
    (spec(['sleep'], linux={'rootfsPropagation': 'shared'}), 'rootfsPropagation'),
    (spec(['sleep'], linux={'resources': {'memory': {'limit': '1g'}}}), 'linux.resources.memory.limit must be an integer'),
    (spec(['sleep'], windows={}), 'windows'),
    (spec(['sleep'], hooks={'prestart': [{'path': 'rel'}]}), 'hooks.prestart[0].path must be absolute'),
    (spec(['sleep'], hooks={'createRuntime': [{'path': '/no/such/hook'}]}), '/no/such/hook'),
    (spec(['sleep'], annotations={'io.kubernetes.cri.container-type': 'teapot'}), 'teapot'),
    (spec(['sleep'], annotations={'io.kubernetes.cri.container-type': 'container'}), 'sandbox-id is missing'),
    (spec(['sleep'], annotations={'dev.gvisor.flag.network': 'none'}), 'not allowed'),
    (spec(['sleep'], annotations={'dev.gvisor.flag.debug': 'maybe'}), 'neither true nor false'),
]

@test
def bad_configurations():
    log = TMP + '/bad.json'
    for n, (conf, text) in enumerate(BAD):
        i = fresh('bad')
        p = run('create', '--bundle', bundle(conf), i, ok=False, glob=['--log', log, '--log-format', 'json'])
        msg = p.stderr.strip()
        check(p.returncode == 1, f'#{n} status {p.returncode}')
        check(text in msg, f'#{n}: want {text!r} in {msg!r}')
        check(len(msg.splitlines()) == 1, f'#{n}: more than one line: {msg!r}')
        check(json.loads(open(log).readlines()[-1])['msg'] == msg, f'#{n}: log')
        clean(i)

# ---- kill -9 at any point -----------------------------------------------------------------------------------

@test
def killed_anywhere():
    took = []
    b = bundle(spec(['sleep']))
    for n in range(6):
        i = fresh('t')
        t = time.monotonic()
        run('run', '-d', '--bundle', b, i, ok=True)
        took.append(time.monotonic() - t)
        run('delete', '--force', i, ok=True)
    span = sorted(took)[3] * 1.3
    for n in range(60):
        i = fresh('k')
        p = subprocess.Popen([RUNSC, '--root', ROOT, 'run', '-d', '--bundle', b, i], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(span * n / 60)
        p.kill()
        p.wait()
        run('delete', '--force', i, ok=True)
        clean(i)
    # and a delete that is itself killed, then repeated
    for n in range(20):
        i = fresh('d')
        run('run', '-d', '--bundle', b, i, ok=True)
        p = subprocess.Popen([RUNSC, '--root', ROOT, 'delete', '--force', i], stderr=subprocess.DEVNULL)
        time.sleep(span * n / 20)
        p.kill()
        p.wait()
        run('delete', '--force', i, ok=True)
        clean(i)

@test
def attached_dies_with_us():
    i = fresh('a')
    p = subprocess.Popen([RUNSC, '--root', ROOT, 'run', '--bundle', bundle(spec(['sleep'])), i], stdout=subprocess.PIPE)
    p.stdout.readline()
    st = json.load(open(f'{ROOT}/{i}/state.json'))
    p.kill()
    p.wait()
    for _ in range(100):
        if state(i)['status'] == 'stopped':
            break
        time.sleep(0.02)
    check(state(i)['status'] == 'stopped', 'the sandbox outlived its foreground')
    run('delete', i, ok=True)
    clean(i)

@test
def many_at_once():
    b = bundle(spec(['exit', '0']))
    procs = []
    for n in range(12):
        i = fresh('m')
        procs.append((i, subprocess.Popen([RUNSC, '--root', ROOT, 'run', '--bundle', b, i], stdout=subprocess.DEVNULL,
                                          stderr=subprocess.PIPE)))
    for i, p in procs:
        err = p.communicate(timeout=60)[1]
        check(p.returncode == 0, err)
    for i, _ in procs:
        clean(i)
    # the same id many times: one wins, the others say so
    i = fresh('same')
    b = bundle(spec(['sleep']))
    ps = [subprocess.Popen([RUNSC, '--root', ROOT, 'create', '--bundle', b, i], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True) for _ in range(6)]
    res = []
    for p in ps:
        # descriptors of the winner's container stay open: read only what is there
        p.wait(20)
        res.append(p.returncode)
    check(sorted(res) == [0, 1, 1, 1, 1, 1], res)
    run('delete', '--force', i, ok=True)
    clean(i)

failed = 0
for t in tests:
    if ONLY and ONLY not in t.__name__:
        continue
    try:
        t()
        print(f'ok runsc_cli/{t.__name__}', flush=True)
    except (Failed, subprocess.TimeoutExpired, Exception) as e:
        failed += 1
        print(f'not ok runsc_cli/{t.__name__}: {type(e).__name__}: {e}', flush=True)
left = subprocess.run([RUNSC, '--root', ROOT, 'list', '-q'], capture_output=True, text=True).stdout.split()
for i in left:
    subprocess.run([RUNSC, '--root', ROOT, 'delete', '--force', i])
shutil.rmtree(TMP, ignore_errors=True)
sys.exit(1 if failed else 0)

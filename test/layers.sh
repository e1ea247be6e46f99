#!/usr/bin/env bash
# Checks the direction of dependency: STYLE.md section 1 as a table, compared with the #include lines.
set -euo pipefail
cd "$(dirname "$0")/.."
python3 - <<'PY'
import os, re, sys
RANK = {'abi':1,'arch':1,'time':1,'platform':2,'run':2,'cred':2,'net':2,'cgroup':3,'mm':3,'vfs':4,'loader':5,
        'task':6,'ipc':6,'keys':6,'fs':7,'socket':7,'syscalls':8,'strace':8,'metrics':8,'checkpoint':9,'boot':9}
TOP_OK = {'proto':{'proto'}, 'sentry':{'proto','sentry'}, 'gofer':{'proto','gofer'},
          'cni':{'proto','cni'}, 'runsc':{'proto','runsc','cni'}, 'shim':{'proto','runsc','shim','cni'}}
MAIN_OK = {'runsc/main.c'}   # the multi-call binary's dispatcher names every main
bad = 0
for top in TOP_OK:
    for d, _, fs in os.walk(top):
        for f in fs:
            if not f.endswith(('.c', '.h')): continue
            path = os.path.join(d, f)
            for n, line in enumerate(open(path), 1):
                m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
                if not m: continue
                inc = m.group(1).split('/')
                head = inc[0]
                if head in TOP_OK and head not in TOP_OK[top] and path not in MAIN_OK:
                    print(f'{path}:{n}: {top}/ may not include {head}/'); bad = 1
                if top == 'sentry' and head == 'sentry' and len(inc) > 2:
                    me = path.split('/')[1]
                    if path.count('/') < 2: continue
                    mine, theirs = RANK.get(me), RANK.get(inc[1])
                    if mine is None or theirs is None:
                        print(f'{path}:{n}: folder without a rank'); bad = 1
                    elif theirs > mine:
                        print(f'{path}:{n}: {me} (rank {mine}) includes {inc[1]} (rank {theirs})'); bad = 1
                    elif mine == 2 and theirs == 2 and (me == 'net') != (inc[1] == 'net'):
                        print(f'{path}:{n}: net/ and the kernel do not know each other'); bad = 1
sys.exit(bad)
PY
echo "ok layers"

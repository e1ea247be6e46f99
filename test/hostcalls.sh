#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The README's chapter on host calls, made from the binary: --write puts it in, without it the two are compared.
set -euo pipefail
cd "$(dirname "$0")/.."
runsc=${RUNSC:-bin/runsc}
[ -x "$runsc" ] || { echo "skip hostcalls: $runsc is not built"; exit 0; }
python3 - "$runsc" "${1:-}" <<'PY'
import subprocess, sys
runsc, mode = sys.argv[1:]
begin, end = '<!-- host calls: make hostcalls -->\n', '<!-- end of host calls -->\n'
out = lambda *a: subprocess.run([runsc, *a], check=True, stdout=subprocess.PIPE).stdout.decode()
text = out('boot', '--list-host-calls') + '\n' + out('gofer', '--list-host-calls')
s = open('README.md').read()
a, b = s.index(begin) + len(begin), s.index(end)
if mode == '--write':
    open('README.md', 'w').write(s[:a] + '\n' + text + '\n' + s[b:])
elif s[a:b].strip() != text.strip():
    print('not ok hostcalls: README is older than the tables; run make hostcalls')
    sys.exit(0)
print('ok hostcalls')
PY

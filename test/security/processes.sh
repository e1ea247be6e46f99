#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the host says about each process of a running sandbox (/proc/PID/{status,ns,root,fd,maps,uid_map}, socket and state modes),
# compared with a table of what is expected: processes.py holds the table.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
need_packages busybox-static jq python3 || { skip processes "packages"; exit 0; }
[ "$(id -u)" -eq 0 ] || { skip processes "not root"; exit 0; }
[ -x "$RUNSC" ] || { skip processes "$RUNSC is not built"; exit 0; }
work=$(mktemp -d /tmp/sec-proc.XXXXXX)
id=proc$$
trap 'timeout 30 "$RUNSC" --root "$work/state" delete --force $id > /dev/null 2>&1; rm -rf "$work"' EXIT
make_busybox_rootfs "$work/rootfs"
echo data > "$work/rootfs/data"
# private file mappings, threads of control, open files of several kinds: more than an idle shell would show
EXTRA_JQ='.process.noNewPrivileges = false' make_bundle "$work/b" "$work/rootfs" /bin/sh -c \
	'exec 5</data 6>/tmp/w 7</dev/zero; sleep 600 & (while :; do :; done) & cat /dev/zero > /dev/null & sleep 600'
if ! timeout 60 "$RUNSC" --root "$work/state" run --detach --bundle "$work/b" $id > "$work/run.log" 2>&1 < /dev/null; then
	not_ok processes "no container: $(tail -1 "$work/run.log")"
	exit 0
fi
timeout 30 "$RUNSC" --root "$work/state" exec --detach --pid-file "$work/keeper.pid" $id /bin/sleep 600 > /dev/null 2>&1 < /dev/null
sleep 1
timeout 60 python3 "$TOP/test/security/processes.py" "$work/state/$id" "$(cat "$work/keeper.pid" 2> /dev/null || echo 0)"

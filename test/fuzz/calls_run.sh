#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Random system calls from inside (guest_calls.c; TRINITY=1: Debian's trinity as well, =only: instead) against the build with ASan and UBSan.
# usage: calls_run.sh [SECONDS, default 20] [first seed, default the time]
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
secs=${1:-20} seed=${2:-$(date +%s)}
[ "$(id -u)" -eq 0 ] || { skip fuzz/calls "not root"; exit 0; }
need_packages gcc libc6-dev busybox-static jq || { skip fuzz/calls "packages"; exit 0; }
RUNSC=$TOP/build/san/bin/runsc
nice -n 10 make -s -C "$TOP" -j"$(nproc)" SAN=1 build/san/bin/runsc > /dev/null 2>&1 || { not_ok fuzz/calls "the sanitizer build fails"; exit 0; }
work=$(mktemp -d /tmp/fuzz-calls.XXXXXX)
rs() { "$RUNSC" --root "$work/state" --debug-log="$work/logs/" "$@"; }
cleanup() {
	for c in calls$$ trinity$$; do timeout -k 5 30 "$RUNSC" --root "$work/state" delete --force "$c"; done
	rm -rf "$work"
} > /dev/null 2>&1
trap cleanup EXIT
make_busybox_rootfs "$work/rootfs"
gcc -O1 -static -D_GNU_SOURCE -o "$work/rootfs/guest_calls" "$TOP/test/fuzz/guest_calls.c" || { not_ok fuzz/calls "does not compile"; exit 0; }
mkdir -m 777 "$work/volume"
all='["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_SYS_ADMIN","CAP_SYS_PTRACE","CAP_NET_ADMIN","CAP_NET_RAW","CAP_SETUID","CAP_SETGID","CAP_SYS_CHROOT","CAP_KILL","CAP_MKNOD","CAP_SYS_RESOURCE","CAP_IPC_LOCK","CAP_SYS_NICE"]'
vol=".mounts += [{destination: \"/v\", type: \"bind\", source: \"$work/volume\", options: [\"rbind\", \"rw\"]}]"
lim='.linux.resources.memory.limit = 805306368'

# inside NAME SECONDS JQ ARGV...: one container; what its Sentry says decides
inside() {
	local name=$1 t=$2 jq=$3 st why=
	shift 3
	EXTRA_JQ="$vol | $lim | $jq" make_bundle "$work/b" "$work/rootfs" "$@"
	rm -rf "$work/logs"
	nice -n 10 timeout -k 10 $((t + 90)) "$RUNSC" --root "$work/state" --debug-log="$work/logs/" run --bundle "$work/b" "$name$$" > "$work/out" 2>&1 < /dev/null
	st=$?
	timeout -k 5 60 "$RUNSC" --root "$work/state" delete --force "$name$$" > "$work/del" 2>&1 || why+=" delete: $(tail -1 "$work/del");"
	grep -a -q -h -E 'runtime error:|ERROR: AddressSanitizer|BUG|in no list|Assertion' "$work"/logs/* 2> /dev/null &&
		why+=" $(grep -a -h -m1 -E 'runtime error:|ERROR: AddressSanitizer|BUG|in no list|Assertion' "$work"/logs/* | cut -c1-200);"
	[ "$st" -eq 0 ] && [ $# -gt 0 ] || why+=" status $st;"
	if [ -n "$why" ]; then
		not_ok "fuzz/$name" "$why seeds: $(grep -a '^seed' "$work/out" | tail -2 | tr '\n' ' ')"
		[ -z "${KEEP_LOGS:-}" ] || { mkdir -p "$KEEP_LOGS" && cp -r "$work/logs" "$work/out" "$KEEP_LOGS/"; }
		return 1
	fi
	ok "fuzz/$name $(grep -a -h '^done' "$work/out" | tail -1)"
}

# seeds that once found something come first
while read -r s _; do
	[[ $s =~ ^[0-9]+$ ]] && { inside calls 1 ".process.capabilities = {bounding: $all, effective: $all, permitted: $all}" /guest_calls 0 "$s" || exit 1; }
done < "$TOP/test/fuzz/calls.seeds"
[ "${TRINITY:-}" = only ] || inside calls "$secs" ".process.capabilities = {bounding: $all, effective: $all, permitted: $all}" /guest_calls "$secs" "$seed" || exit 1
if [ -n "${TRINITY:-}" ]; then
	need_packages trinity || { skip fuzz/trinity "package"; exit 0; }
	t=$(command -v trinity || echo /usr/bin/trinity)
	for lib in $(ldd "$t" | grep -o '/[^ ]*'); do install -D "$lib" "$work/rootfs$lib"; done
	install -D "$t" "$work/rootfs/bin/trinity"
	lim='.linux.resources.memory.limit = 3221225472'	# what shadow memory adds to the Sentry is in no budget
	# One family of sockets: of families that are not there trinity dies itself. 137: it worked until it was stopped. A container for
	# every five minutes: what it leaves in shared memory adds up to the limit, and the host then kills whom it likes.
	for ((left = secs; left > 0; left -= 300)); do
		slice=$((left < 300 ? left : 300))
		inside trinity "$slice" '.process.user = {uid: 1000, gid: 1000}' /bin/sh -c "cd /tmp && timeout -s KILL $slice trinity --dangerous -q -C 2 -l off -P PF_INET > t.out 2>&1
			st=\$?; [ \$st -eq 137 ] || { tail -c 200 t.out; exit \$st; }; echo done" || exit 1
	done
fi
exit 0

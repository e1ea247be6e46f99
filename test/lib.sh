# SPDX-License-Identifier: Apache-2.0
# test/lib.sh - what the shell parts of the tests share; sourced
#
# Conventions: a test prints "ok NAME", "not ok NAME: why" or "skip NAME: why"; test/run.sh counts these lines.
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
RUNSC=${RUNSC:-$TOP/bin/runsc}
export TOP RUNSC

ok() { echo "ok $*"; }
not_ok() { echo "not ok $1: ${*:2}"; }
skip() { echo "skip $1: ${*:2}"; }

# need_packages PKG...: installs what is missing from Debian's archive; false (with a reason) when it cannot be had
need_packages() {
	local missing=() p
	for p; do dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p"); done
	[ ${#missing[@]} -eq 0 ] && return 0
	[ "$(id -u)" -eq 0 ] || { echo "missing packages: ${missing[*]}" >&2; return 1; }
	# the lock may be somebody else's for a while (a timer of apt's own, another test)
	local get=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
	{ "${get[@]}" install -y --no-install-recommends "${missing[@]}" ||
		{ "${get[@]}" update && "${get[@]}" install -y --no-install-recommends "${missing[@]}"; }; } \
		>/dev/null 2>&1 || { echo "packages cannot be installed: ${missing[*]}" >&2; return 1; }
}

# make_busybox_rootfs DIR: a small root file system of one static program and its names
make_busybox_rootfs() {
	local dir=$1 bb a
	bb=$(command -v busybox) || return 1
	mkdir -p "$dir"/{bin,sbin,etc,proc,sys,dev,tmp,root,run,var/tmp,usr/bin,usr/sbin,home,mnt}
	chmod 1777 "$dir/tmp" "$dir/var/tmp"
	cp "$bb" "$dir/bin/busybox"
	for a in $("$bb" --list); do [ "$a" = busybox ] || ln -sf /bin/busybox "$dir/bin/$a"; done
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' > "$dir/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' > "$dir/etc/group"
	echo sandbox > "$dir/etc/hostname"
}

# make_bundle DIR ROOTFS ARGV...: config.json for one process without terminal; EXTRA_JQ edits it further
make_bundle() {
	local dir=$1 rootfs=$2 files
	shift 2
	mkdir -p "$dir"
	files=$(ulimit -Hn) # what runc may not raise where this runs without the capability
	[ "$files" != unlimited ] && [ "$files" -lt 4096 ] || files=4096
	jq -n --arg root "$rootfs" --argjson files "$files" '{
		ociVersion: "1.0.2",
		process: { terminal: false, user: {uid: 0, gid: 0}, args: $ARGS.positional, cwd: "/",
			env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=xterm"],
			capabilities: (["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FSETID","CAP_FOWNER","CAP_MKNOD","CAP_NET_RAW","CAP_SETGID","CAP_SETUID",
				"CAP_SETFCAP","CAP_SETPCAP","CAP_NET_BIND_SERVICE","CAP_SYS_CHROOT","CAP_KILL","CAP_AUDIT_WRITE"] as $c |
				{bounding: $c, effective: $c, permitted: $c}),
			rlimits: [{type: "RLIMIT_NOFILE", hard: $files, soft: $files}] },
		root: {path: $root, readonly: false}, hostname: "sandbox",
		mounts: [
			{destination: "/proc", type: "proc", source: "proc"},
			{destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid","strictatime","mode=755","size=65536k"]},
			{destination: "/dev/pts", type: "devpts", source: "devpts", options: ["nosuid","noexec","newinstance","ptmxmode=0666","mode=0620","gid=5"]},
			{destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid","noexec","nodev","mode=1777","size=65536k"]},
			{destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid","noexec","nodev"]},
			{destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid","noexec","nodev","ro"]},
			{destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid","nodev","mode=1777"]} ],
		linux: { namespaces: [{type: "pid"},{type: "network"},{type: "ipc"},{type: "uts"},{type: "mount"}] }
	} | '"${EXTRA_JQ:-.}" --args -- "$@" > "$dir/config.json"
}

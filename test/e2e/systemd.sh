#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Debian's systemd as a container's init: it builds its tree of control groups, runs services in it, limits, stops and counts them,
# and shuts down. The root file system is an overlay over the host's own /, with units of our own instead of the host's.
# Then the control groups by hand, where there is nothing to compare with: what their files say and do.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip systemd "needs root"; exit 0; }
need_packages jq systemd systemd-sysv dbus busybox-static || { skip systemd "packages"; exit 0; }
T=$(mktemp -d /tmp/e2e-systemd.XXXXXX)
mkdir -p "$T"/{up,wk,root,state}
ID=sd$$ pid=
rc() { "$RUNSC" --root "$T/state" "$@"; }
cleanup() {
	timeout 20 "$RUNSC" --root "$T/state" delete --force "$ID" > /dev/null 2>&1
	[ -n "$pid" ] && wait "$pid" 2> /dev/null
	umount -l "$T/root" 2> /dev/null
	rm -rf "$T"
}
trap cleanup EXIT

is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got '${2//$'\n'/\\n}', wanted '$3'"; fi; }
like() { # shellcheck disable=SC2053
	if [[ $2 == $3 ]]; then ok "$1"; else not_ok "$1" "got '${2//$'\n'/\\n}', wanted like '$3'"; fi
}

CGROUP='.linux.namespaces += [{type:"cgroup"}] | .mounts += [{destination:"/sys/fs/cgroup",type:"cgroup",source:"cgroup",options:["nosuid","noexec","nodev","rw"]}]'
# What Docker gives with --cap-add SYS_ADMIN, and what services with sandboxes of their own use.
CAPS='["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_DAC_READ_SEARCH","CAP_FOWNER","CAP_FSETID","CAP_KILL","CAP_SETGID","CAP_SETUID","CAP_SETPCAP",
	"CAP_NET_BIND_SERVICE","CAP_NET_ADMIN","CAP_NET_RAW","CAP_SYS_CHROOT","CAP_SYS_PTRACE","CAP_SYS_ADMIN","CAP_SYS_RESOURCE","CAP_MKNOD",
	"CAP_AUDIT_WRITE","CAP_SETFCAP","CAP_SYS_NICE","CAP_AUDIT_CONTROL"] as $c | .process.capabilities |= map_values($c)'

# ---- by hand ---------------------------------------------------------------------------------------------------------------

make_busybox_rootfs "$T/bb"
# hand MOUNT-OPTION SCRIPT: in a container whose own group is mounted so
hand() {
	EXTRA_JQ="${CGROUP/\"rw\"/\"$1\"} | $CAPS | .linux.resources={memory:{limit:268435456},pids:{limit:300}}" \
		make_bundle "$T/hb" "$T/bb" /bin/sh -c "cd /sys/fs/cgroup; $2"
	timeout -k 5 60 "$RUNSC" --root "$T/state" run --bundle "$T/hb" "$ID-h$RANDOM" < /dev/null 2>&1
}
is cgroup/readonly "$(hand ro 'mkdir x 2> /dev/null || echo refused; cat pids.max; cat /proc/self/cgroup')" "refused
300
0::/"
is cgroup/script "$(hand rw 'mkdir x; echo $$ > x/cgroup.procs; cat /proc/self/cgroup; sleep 9 & [ $(cat x/cgroup.procs | wc -l) -ge 2 ] && echo with its child; rmdir x 2> /dev/null || echo busy')" "0::/x
with its child
busy"
is cgroup/outside-is-not-ours "$(hand rw 'echo max > pids.max || cat memory.max pids.max; echo 1 > cgroup.freeze || cat cgroup.freeze' | grep -v write)" "268435456
300
0"
is cgroup/controllers "$(hand rw 'mkdir a a/b; cat a/cgroup.controllers; ls a/pids.max 2> /dev/null; echo "+pids +memory" > cgroup.subtree_control || { mkdir i; echo 1 > i/cgroup.procs; echo $$ > i/cgroup.procs; }
	echo "+pids +memory +cpu +cpuset +io" > cgroup.subtree_control && cat a/cgroup.controllers; echo $$ > cgroup.procs || echo busy; echo +pids > a/b/cgroup.subtree_control || echo none
	echo "+pids +cpu" > a/cgroup.subtree_control; cat a/b/cgroup.controllers; echo -pids > cgroup.subtree_control || echo held; ls a/b | grep -c memory' | grep -v 'write error')" "cpuset cpu io memory pids
busy
none
cpu pids
held
0"
is cgroup/pids.max "$(hand rw 'mkdir i a; echo $$ > i/cgroup.procs; echo +pids > cgroup.subtree_control; echo 3 > a/pids.max; cat a/pids.max
	sh -c "echo 0 > a/cgroup.procs; sleep 2 & sleep 2 & sleep 2 & wait"; cat a/pids.events; cat pids.max; echo 99999999 > a/pids.max || echo -1 > a/pids.max || echo odd' | grep -v 'write error' | sed 's/.*fork: .*/no fork/')" "3
no fork
max 1
300
odd"
is cgroup/values "$(hand rw 'mkdir i a; echo $$ > i/cgroup.procs; echo +cpu +memory +cpuset +io > cgroup.subtree_control; cd a; echo 64M > memory.max; echo 5000 > memory.high; echo max > memory.low
	echo 50000 > cpu.max; echo 300 > cpu.weight; echo 0 > cpuset.cpus; echo 1 > memory.oom.group; echo "default 50" > io.weight; cat memory.max memory.high memory.low cpu.max cpu.weight cpuset.cpus cpuset.cpus.effective
	cat memory.oom.group io.weight io.stat; echo -5 > cpu.weight.nice; cat cpu.weight; echo 0 > cpu.weight || echo 1 > memory.oom.group; echo 10 > cpu.max || echo x > memory.max || echo all refused' | grep -v 'write error')" "67108864
4096
max
50000 100000
300
0
0
1
default 50
305
all refused"
is cgroup/usage "$(hand rw 'mkdir i a; echo $$ > i/cgroup.procs; echo "+memory +cpu" > cgroup.subtree_control; sh -c "echo 0 > a/cgroup.procs; i=0; while [ \$i -lt 200000 ]; do i=\$((i+1)); done"
	awk "/^usage_usec/ { print (\$2 > 10000) }" a/cpu.stat; sleep 9 & echo $! > a/cgroup.procs; awk "{ print (\$1 > 4096) }" a/memory.current; echo 1 > a/cgroup.kill; wait; cat a/memory.current')" "1
1
0"
is cgroup/bounded "$(hand rw 'i=0; mkdir d; while mkdir d/$i 2> /dev/null; do i=$((i+1)); done; echo $i; mkdir e 2>&1 | sed "s/.*: //"; rmdir d/0; mkdir e && echo again')" "4095
Resource temporarily unavailable
again"

# ---- systemd ---------------------------------------------------------------------------------------------------------------

mount -t overlay overlay -o "lowerdir=/,upperdir=$T/up,workdir=$T/wk" "$T/root" || { skip systemd "no overlayfs"; exit 0; }
R=$T/root
rm -rf "$R/etc/systemd/system" "$R/etc/systemd/user" "$R/etc/fstab"
mkdir -p "$R/etc/systemd/system/multi-user.target.wants"
: > "$R/etc/machine-id"
ln -s /lib/systemd/system/multi-user.target "$R/etc/systemd/system/default.target"
cat > "$R/etc/systemd/system/hello.service" <<'X'
[Unit]
Description=two processes in a group with limits
[Service]
ExecStartPre=/bin/sh -c 'cat /proc/self/cgroup > /run/hello'
ExecStart=/bin/sh -c 'sleep 1000 & exec sleep 1000'
TasksMax=40
MemoryMax=100M
CPUWeight=50
X
ln -s ../hello.service "$R/etc/systemd/system/multi-user.target.wants/hello.service"
EXTRA_JQ="$CGROUP | $CAPS | .process.env += [\"container=docker\"] | .mounts += [{destination:\"/run\",type:\"tmpfs\",source:\"tmpfs\",options:[\"mode=755\"]},
	{destination:\"/run/lock\",type:\"tmpfs\",source:\"tmpfs\"}]" make_bundle "$T/b" "$R" /lib/systemd/systemd
timeout -k 5 300 "$RUNSC" --root "$T/state" run --bundle "$T/b" "$ID" < /dev/null > "$T/out" 2>&1 &
pid=$!
inside() { timeout 60 "$RUNSC" --root "$T/state" exec "$ID" /bin/bash -c "$1" 2>&1; }
for _ in $(seq 60); do
	state=$(inside 'systemctl is-system-running')
	[[ $state == running || $state == degraded ]] && break
	sleep 1
done
is systemd/running "$state" running
[ "$state" = degraded ] && inside 'systemctl list-units --failed --plain --no-legend; journalctl -p warning --no-pager' | head -20
is systemd/service "$(inside 'systemctl is-active hello; cat /run/hello; cd /sys/fs/cgroup/system.slice/hello.service; cat pids.max memory.max cpu.weight; grep -c . cgroup.procs; cat cgroup.events')" \
	"active
0::/system.slice/hello.service
40
104857600
50
2
populated 1
frozen 0"
is systemd/status "$(inside 'systemctl show hello -p TasksCurrent -p ControlGroup --value | sort')" "/system.slice/hello.service
2"
is systemd/stop "$(inside 'systemctl stop hello; systemctl is-active hello; pgrep -c -x sleep; ls -d /sys/fs/cgroup/system.slice/hello.service 2>&1 | grep -c "No such"')" "inactive
0
1"
is systemd/limit "$(inside 'systemd-run -q --wait -p TasksMax=4 bash -c "for i in 1 2 3 4 5 6; do sleep 3 & done; wait" 2> /dev/null || echo failed')" failed
is systemd/scope "$(inside 'systemd-run -q --scope --unit there cat /proc/self/cgroup')" "0::/system.slice/there.scope"
is systemd/sandbox "$(inside 'systemd-run -q --wait --pipe -p DynamicUser=yes -p PrivateTmp=yes -p ProtectSystem=strict -p NoNewPrivileges=yes bash -c "touch /usr/x 2> /dev/null || echo as it should"')" "as it should"
is systemd/freeze "$(inside 'systemctl start hello; systemctl freeze hello; cat /sys/fs/cgroup/system.slice/hello.service/cgroup.events; systemctl thaw hello; grep frozen /sys/fs/cgroup/system.slice/hello.service/cgroup.events')" \
	"populated 1
frozen 1
frozen 0"
is systemd/logind "$(inside 'systemctl is-active systemd-logind dbus')" "active
active"
is systemd/namespace "$(inside 'unshare -Cm sh -c "mount -t cgroup2 none /mnt; cat /proc/self/cgroup; grep -c . /mnt/cgroup.procs /proc/1/cgroup; cat /proc/1/cgroup; awk \"/cgroup2/ {print \\\$4, \\\$5}\" /proc/self/mountinfo"' | sed 's/procs:.*/procs: some/')" "0::/
/mnt/cgroup.procs: some
/proc/1/cgroup:1
0::/
/.. /sys/fs/cgroup
/ /mnt"
is systemd/exec-goes-to-init "$(inside 'cat /proc/self/cgroup')" "0::/init.scope"
inside 'systemctl poweroff' > /dev/null
wait "$pid"
is systemd/poweroff $? 0 # without CAP_SYS_BOOT it exits
pid=

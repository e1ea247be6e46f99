#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Docker and Podman inside the sandbox: dockerd, containerd, runc and crun run containers of their own there, on storage, networks and
# control groups that are the sandbox's. The root file system is an overlay over the host's own /, whose packages are used.
# EXTRA=DIR: packages that are unpacked there instead of installed.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip nested "needs root"; exit 0; }
[ -n "${EXTRA:-}" ] || need_packages jq docker.io containerd runc iptables podman crun busybox-static || { skip nested "packages"; exit 0; }
T=$(mktemp -d /tmp/e2e-nested.XXXXXX)
mkdir -p "$T"/{up,wk,root,state}
ID=nst$$ pid=
cleanup() {
	timeout 20 "$RUNSC" --root "$T/state" delete --force "$ID" > /dev/null 2>&1
	[ -n "$pid" ] && wait "$pid" 2> /dev/null
	umount -l "$T/root" 2> /dev/null
	[ "${KEEP:-0}" = 1 ] && echo "kept: $T" || rm -rf "$T"
}
trap cleanup EXIT

is() { if [ "$2" = "$3" ]; then ok "nested/$1"; else not_ok "nested/$1" "got '${2//$'\n'/\\n}', wanted '$3'"; fi; }
inside() { timeout "${LIMIT:-90}" "$RUNSC" --root "$T/state" exec "$ID" /bin/bash -c ". /opt/env; $1" 2>&1; }

mount -t overlay overlay -o "lowerdir=/,upperdir=$T/up,workdir=$T/wk" "$T/root" || { skip nested "no overlayfs"; exit 0; }
R=$T/root
[ -z "${EXTRA:-}" ] || tar -C "$EXTRA" -c . | tar -x --keep-directory-symlink -C "$R"
make_busybox_rootfs "$R/opt/bb"
mkdir -p "$R/etc/containers"
rm -f "$R/etc/docker/daemon.json"
echo '{"default":[{"type":"insecureAcceptAnything"}]}' > "$R/etc/containers/policy.json"
cat > "$R/opt/env" <<'X'
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DOCKER_HOST=unix:///run/d.sock DOCKER_CONFIG=/run/client DOCKER_BUILDKIT=0
pod() { podman --root /opt/d/p --runroot /run/p --storage-driver vfs --cgroup-manager cgroupfs --events-backend file "$@"; }
X
cat > "$R/opt/c.toml" <<'X'
version = 2
root = "/opt/d/c"
state = "/run/c"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "/run/c.sock"
X
# As images with Docker inside do: processes leave the root group, so that it can hand its controllers on.
cat > "$R/opt/start" <<'X'
. /opt/env
mkdir -p /run/client && echo "{}" > /run/client/config.json
cd /sys/fs/cgroup && mkdir init && xargs -rn1 < cgroup.procs > init/cgroup.procs
sed -e 's/ / +/g' -e 's/^/+/' < cgroup.controllers > cgroup.subtree_control
containerd -c /opt/c.toml > /run/containerd.log 2>&1 &
for _ in $(seq 100); do [ -S /run/c.sock ] && break; sleep 0.1; done
dockerd --data-root /opt/d/docker --exec-root /run/x -H $DOCKER_HOST -p /run/d.pid --containerd /run/c.sock --ip6tables=false --storage-driver $1 > /run/dockerd.log 2>&1 &
wait
X
# start DRIVER: the daemons, until they answer
start() {
	EXTRA_JQ="$(printf '%s' '["AUDIT_CONTROL","AUDIT_READ","AUDIT_WRITE","BLOCK_SUSPEND","BPF","CHECKPOINT_RESTORE","CHOWN","DAC_OVERRIDE","DAC_READ_SEARCH","FOWNER",
		"FSETID","IPC_LOCK","IPC_OWNER","KILL","LEASE","LINUX_IMMUTABLE","MAC_ADMIN","MAC_OVERRIDE","MKNOD","NET_ADMIN","NET_BIND_SERVICE","NET_BROADCAST",
		"NET_RAW","PERFMON","SETFCAP","SETGID","SETPCAP","SETUID","SYSLOG","SYS_ADMIN","SYS_BOOT","SYS_CHROOT","SYS_MODULE","SYS_NICE","SYS_PACCT",
		"SYS_PTRACE","SYS_RAWIO","SYS_RESOURCE","SYS_TIME","SYS_TTY_CONFIG","WAKE_ALARM"] as $c | .process.capabilities |= map_values($c | map("CAP_" + .))') |
		.linux.namespaces += [{type:\"cgroup\"}] | .mounts |= map(if .destination == \"/sys\" then .options -= [\"ro\"] else . end) |
		.mounts += [(\"/run\", \"/opt/d\" | {destination:., type:\"tmpfs\", source:\"tmpfs\", options:[\"mode=755\"]}),
			{destination:\"/sys/fs/cgroup\", type:\"cgroup\", source:\"cgroup\", options:[\"nosuid\",\"noexec\",\"nodev\",\"rw\"]}]" \
		make_bundle "$T/b" "$R" /bin/bash /opt/start "$1"
	timeout -k 5 600 "$RUNSC" --root "$T/state" run --bundle "$T/b" "$ID" < /dev/null > "$T/out" 2>&1 &
	pid=$!
	for _ in $(seq 60); do LIMIT=10 inside 'docker version' > /dev/null 2>&1 && return 0; sleep 1; done
	not_ok "nested/dockerd-$1" "does not come up: $(inside 'tail -1 /run/dockerd.log')"
	return 1
}
stop() {
	timeout 20 "$RUNSC" --root "$T/state" delete --force "$ID" > /dev/null 2>&1
	wait "$pid"
	pid=
}

start overlay2 || exit 1
inside 'tar -C /opt/bb -c . | docker import - bb > /dev/null'
got=$(inside 'docker run --rm --network none bb echo hello from inside')
if [[ $got == *"session keyring"* ]]; then skip nested "no key rings"; exit 0; fi
is run "$got" "hello from inside"
is run-in-place "$(inside 'docker run --rm --network none bb sh -c "cat /proc/self/cgroup; touch /new && ls /new; id -u"')" "0::/
/new
0"
is bridge "$(inside 'docker run --rm bb sh -c "ip -4 -o addr show eth0 | grep -o 172.17.0.[0-9]*/16; ping -c 1 172.17.0.1 | grep -o \"1 packets received\""')" "172.17.0.2/16
1 packets received"
inside 'docker run -d --name box -m 64m --pids-limit 10 --cpus 0.5 --network none bb sleep 1000 > /dev/null'
is limits "$(inside 'docker exec box sh -c "cd /sys/fs/cgroup; cat pids.max memory.max cpu.max"')" "10
67108864
50000 100000"
is pids "$(inside 'docker exec box sh -c "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 2 & done" 2>&1 | grep -c "can.t fork"')" 1
is pause "$(inside 'docker pause box > /dev/null; cat /sys/fs/cgroup/docker/*/cgroup.events; docker unpause box > /dev/null; grep frozen /sys/fs/cgroup/docker/*/cgroup.events')" "populated 1
frozen 1
frozen 0"
is update "$(inside 'docker update --pids-limit 20 box; docker exec box cat /sys/fs/cgroup/pids.max')" "box
20"
is devices "$(inside 'docker exec box sh -c "mknod /tmp/b b 8 0 && mknod /tmp/n c 1 3 && cat /tmp/n && cat /tmp/b 2>&1 | sed s/.*:.//"')" "Operation not permitted"
is stop "$(inside 'docker stop -t 1 box; docker inspect -f "{{.State.ExitCode}}" box; docker rm box; ls -d /sys/fs/cgroup/docker/*/ 2> /dev/null')" "box
137
box"
is build "$(inside 'printf "FROM bb\nRUN echo built > /f\nCMD cat /f\n" | docker build -q -t img - > /dev/null 2>&1; docker run --rm --network none img')" built
is privileged "$(inside 'docker run --rm --privileged --network none bb sh -c "mkdir /sys/fs/cgroup/x && echo made; mount -t tmpfs none /mnt && echo mounted"')" "made
mounted"
is init "$(inside 'docker run --rm -i --init --network none --user 1000 --read-only --security-opt no-new-privileges bb cat <<< "through stdin"')" "through stdin"
for runtime in crun runc; do
	is "podman-$runtime" "$(inside "pod image exists bb || tar -C /opt/bb -c . | pod import - bb > /dev/null 2>&1; pod --runtime $runtime run --rm --network none --memory 64m --pids-limit 12 bb sh -c 'echo hello; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max'")" "hello
67108864
12"
done
stop
start vfs || exit 1
is vfs "$(inside 'tar -C /opt/bb -c . | docker import - bb > /dev/null; docker run --rm --network none bb sh -c "echo in a copy > /f; cat /f"')" "in a copy"

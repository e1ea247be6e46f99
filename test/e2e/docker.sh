#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Docker: a real, private dockerd drives runsc as "runtimes.runsc.path", then our shim as its containerd runtime.
# dockerd before 23 knows no "runtimeType"; there our shim stands in for containerd-shim-runc-v2 in a containerd of
# its own, so that dockerd speaks to it all the same. Everything lies below one temporary directory.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip docker "needs root"; exit 0; }
need_packages docker.io containerd busybox-static python3 iproute2 || { skip docker "its packages cannot be had"; exit 0; }
[ -x "$RUNSC" ] || { not_ok docker "bin/runsc is not built"; exit 1; }
DOCKER=${DOCKER:-/usr/bin/docker} DOCKERD=${DOCKERD:-/usr/sbin/dockerd}
T=$(mktemp -d /tmp/e2e-docker.XXXXXX)	# short: a socket's path has an end
CG=e2e-docker-$$
export DOCKER_CONFIG=$T/client DOCKER_HOST=unix://$T/d.sock
daemons=() failed=0 label=

dk() { timeout -k 5 "${LIMIT:-60}" "$DOCKER" "$@"; }
onpty() { timeout -k 5 60 "$TOP/test/e2e/docker/onpty.py" "$@"; }

stop_daemons() {
	local i p
	for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
		p=${daemons[i]}
		kill "$p" 2> /dev/null
		for _ in $(seq 100); do kill -0 "$p" 2> /dev/null || break; sleep 0.1; done
		kill -9 "$p" 2> /dev/null
		wait "$p" 2> /dev/null
	done
	daemons=()
}

# what names our directory in its arguments is ours: shims and what they hold
ours() { pgrep -f -- "-address $T/c.sock|$T/(data|x)/" | grep -vx $$; }

cleanup() {
	local m p
	trap - EXIT INT TERM
	if [ ${#daemons[@]} -gt 0 ]; then
		# shellcheck disable=SC2046
		LIMIT=20 dk rm -f $(LIMIT=5 dk ps -aq 2> /dev/null) > /dev/null 2>&1
		stop_daemons
	fi
	for p in $(ours); do kill -9 "$p" 2> /dev/null; done
	for m in $(awk -v t="$T" 'index($2, t) == 1 { print $2 }' /proc/mounts | sort -r); do umount -l "$m"; done
	for m in $(find /sys/fs/cgroup -depth -type d -path "*/$CG*" 2> /dev/null); do rmdir "$m" 2> /dev/null; done
	[ "${KEEP:-0}" = 1 ] && echo "kept: $T" || rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# start_daemons BINDIR DAEMON_JSON: containerd finds its shims in BINDIR first
start_daemons() {
	cat > "$T/containerd.toml" <<-C
		version = 2
		root = "$T/c/root"
		state = "$T/c/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
		[grpc]
		address = "$T/c.sock"
	C
	echo "$2" > "$T/daemon.json"
	PATH=$1:$PATH containerd -c "$T/containerd.toml" >> "$T/containerd.log" 2>&1 < /dev/null &
	daemons+=($!)
	for _ in $(seq 100); do [ -S "$T/c.sock" ] && break; sleep 0.1; done
	"$DOCKERD" --config-file "$T/daemon.json" --data-root "$T/data" --exec-root "$T/x" --pidfile "$T/pid" -H "$DOCKER_HOST" \
		--containerd "$T/c.sock" --cgroup-parent "/$CG" --iptables=false --ip6tables=false --bridge=none \
		--storage-driver "$driver" >> "$T/dockerd.log" 2>&1 < /dev/null &
	daemons+=($!)
	for _ in $(seq 200); do LIMIT=5 dk version > /dev/null 2>&1 && return 0; sleep 0.1; done
	not_ok "docker: dockerd" "does not come up: $(tail -1 "$T/dockerd.log")"
	exit 1
}

# is NAME GOT WANTED: equality; like NAME GOT PATTERN: a shell pattern
is() { if [ "$2" = "$3" ]; then ok "$label: $1"; else failed=1; not_ok "$label: $1" "got '${2//$'\n'/\\n}', wanted '$3'"; fi; }
like() { # shellcheck disable=SC2053
	if [[ $2 == $3 ]]; then ok "$label: $1"; else failed=1; not_ok "$label: $1" "got '${2//$'\n'/\\n}', wanted like '$3'"; fi
}
run() { dk run --rm --runtime "$runtime" --network none "$@" 2>&1; }
bg() { dk run -d --runtime "$runtime" --network none "$@" > /dev/null 2> "$T/err" || cat "$T/err"; }
until_logs() { for _ in $(seq 100); do dk logs "$1" 2>&1 | grep -q "$2" && return; sleep 0.1; done; }
inspect() { dk inspect -f "$2" "$1" 2>&1; }
# cgroup NAME CONTROLLER-FILE FILE-OF-V2: what the host's cgroup of a container says
cgroup() {
	local f
	for f in /sys/fs/cgroup/*/"$CG/$(inspect "$1" '{{.Id}}')/$2" "/sys/fs/cgroup/$CG/$(inspect "$1" '{{.Id}}')/$3"; do
		[ -e "$f" ] && cat "$f" && return
	done
	echo "no $2"
}

running() {
	local st
	is "run: it is the Sentry" "$(run bb sh -c 'dmesg | grep -c "Starting gVisor"')" 1
	run bb sh -c 'exit 42' > /dev/null; st=$?
	is "run: exit status" $st 42
	is "run: standard output" "$(run bb echo to the world)" "to the world"
	is "run: standard error" "$(dk run --rm --runtime "$runtime" --network none bb sh -c 'echo wrong >&2' 2>&1 > /dev/null)" wrong
	run bb /no/such/program > /dev/null; st=$?
	is "run: status of a program that is not there" $st 127
	run bb /etc/passwd > /dev/null; st=$?
	is "run: status of a file that is no program" $st 126
	is "run: standard input" "$(echo through | run -i bb cat)" through
	is "run: 8 MB of output" "$(run bb head -c 8000000 /dev/zero | wc -c)" 8000000
	is "run: environment, directory, host name" "$(run -e A=b -w /tmp -h there bb sh -c 'echo $A $PWD $(hostname)')" "b /tmp there"
	is "run: HOME as in /etc/passwd" "$(run bb sh -c 'echo $HOME')" /root
	is "run: --user" "$(run -u nobody bb sh -c 'id -u; echo $HOME')" $'65534\n/'
	is "run: --init" "$(run --init bb sh -c 'cat /proc/1/comm')" docker-init
	is "run: --cap-drop" "$(run --cap-drop all bb sh -c 'grep CapEff /proc/self/status')" $'CapEff:\t0000000000000000'
	is "run: --ulimit" "$(run --ulimit nofile=123:456 bb sh -c 'ulimit -n; ulimit -Hn')" $'123\n456'
	if [ "$(run bb ls /proc/sys/net/ipv4/ip_default_ttl)" = /proc/sys/net/ipv4/ip_default_ttl ]; then
		is "run: --sysctl" "$(run --sysctl net.ipv4.ip_default_ttl=77 bb cat /proc/sys/net/ipv4/ip_default_ttl)" 77
	else
		skip "$label: run: --sysctl" "the Sentry shows no /proc/sys/net"
	fi
	like "run: --network none has loopback only" "$(run bb sh -c 'ip -o -4 addr')" "1: lo *127.0.0.1/8*"
	like "run: --add-host" "$(run --add-host other:10.1.2.3 bb cat /etc/hosts)" "*10.1.2.3*other*"
}

terminals() {
	local out
	# docker's client sets the size once the container runs
	out=$(onpty 30x100 '# ' 'tty; while ! stty size; do sleep 0.1; done 2>/dev/null; echo; exit 9\n' -- "$DOCKER" run --rm -it --runtime "$runtime" --network none bb sh); st=$?
	is "run -it: exit status" $st 9
	like "run -it: terminal and its size" "$out" $'*/dev/pts/0\n30 100*'
	out=$(onpty 20x80 'sized' '@33x99' 'winch 33 99' '\x03' -- "$DOCKER" run --rm -it --runtime "$runtime" --network none bb \
		sh -c 'trap "echo winch \$(stty size)" WINCH; trap "echo interrupted; exit 5" INT; while [ "$(stty size)" != "20 80" ]; do sleep 0.1; done; echo sized; while :; do sleep 0.2; done'); st=$?
	is "run -it: resize, then ^C" "$st $(tail -n 1 <<< "$out")" "5 ^Cinterrupted"
	bg --name term bb sleep 1000
	out=$(onpty 25x90 '# ' 'tty; while ! stty size; do sleep 0.1; done 2>/dev/null; echo; exit 4\n' -- "$DOCKER" exec -it term sh); st=$?
	is "exec -it: exit status" $st 4
	like "exec -it: terminal and its size" "$out" $'*/dev/pts/0\n25 90*'
	like "exec -t under script(1)" "$(timeout 60 script -qec "'$DOCKER' exec -t term tty" /dev/null < /dev/null | tr -d '\r')" "*/dev/pts/*"
	dk rm -f term > /dev/null
}

living() {
	local st out
	is "run -d" "$(bg --name one bb sh -c 'echo out; echo err >&2; trap "echo got usr1" USR1; trap "echo bye; exit 3" TERM; while :; do sleep 0.1; done')" ""
	until_logs one err
	is "logs: standard output" "$(dk logs one 2> /dev/null)" out
	is "logs: standard error" "$(dk logs one 2>&1 > /dev/null)" err
	dk exec one sh -c 'exit 11'; st=$?
	is "exec: exit status" $st 11
	is "exec: in the container" "$(dk exec -e B=c -w /tmp one sh -c 'echo $B $PWD; cat /proc/1/comm')" $'c /tmp\nsh'
	is "exec -i" "$(echo in | dk exec -i one cat)" in
	dk exec one /no/such/program > /dev/null 2>&1; st=$?
	is "exec: status of a program that is not there" $((st == 126 || st == 127)) 1
	is "exec -d" "$(dk exec -d one sh -c 'echo done > /tmp/done'; sleep 1; dk exec one cat /tmp/done)" "done"
	is "exec -u" "$(dk exec -u nobody one id -u)" 65534
	dk exec -d one sleep 1234
	is "top: the application's command lines" "$(for _ in $(seq 50); do out=$(dk top one -o pid,args 2>&1); [[ $out == *"sleep 1234"* ]] && break; sleep 0.1; done
		grep -o "sh -c echo out\|sleep 1234" <<< "$out" | sort)" $'sh -c echo out\nsleep 1234'
	is "top: names" "$(dk top one -o pid,comm | grep -o "s[a-z]*$" | sort -u | tr '\n' ' ')" "sh sleep "
	is "top: nothing of ours" "$(dk top one -o pid,args | grep -c "runsc\|zygote")" 0
	like "stats --no-stream" "$(dk stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' one)" "one [1-9]*B / * [1-9]*"
	is "kill -s USR1" "$(dk kill -s USR1 one; until_logs one usr1; dk logs one 2> /dev/null | tail -n 1)" $'one\ngot usr1'
	is "pause" "$(dk pause one > /dev/null; inspect one '{{.State.Status}}')" paused
	is "unpause" "$(dk unpause one > /dev/null; dk exec one echo awake)" awake
	is "stop: SIGTERM is delivered" "$(dk stop -t 10 one > /dev/null; inspect one '{{.State.Status}} {{.State.ExitCode}}')" "exited 3"
	is "start again" "$(dk start one > /dev/null; inspect one '{{.State.Status}}')" running
	is "kill" "$(dk kill one > /dev/null; timeout 20 "$DOCKER" wait one)" 137
	is "rm" "$(dk rm one)" one
	bg --name deaf bb sh -c 'trap "" TERM; while :; do sleep 1; done'
	is "stop: SIGKILL follows" "$(dk stop -t 1 deaf > /dev/null; inspect deaf '{{.State.ExitCode}}')" 137
	dk rm deaf > /dev/null
	dk run -di --name att --runtime "$runtime" --network none bb cat > /dev/null
	is "attach" "$({ echo attached; sleep 1; } | LIMIT=5 dk attach --sig-proxy=false att 2> /dev/null | head -n 1)" attached
	dk rm -f att > /dev/null
}

limits() {
	bg --name lim --memory 64m --cpus 0.5 --pids-limit 60 --cpu-shares 512 bb sleep 1000
	is "--memory: the host's cgroup" "$(cgroup lim memory.limit_in_bytes memory.max)" 67108864
	like "--cpus: the host's cgroup" "$(cgroup lim cpu.cfs_quota_us cpu.max)" 50000*
	is "--pids-limit: the host's cgroup" "$(cgroup lim pids.max pids.max)" 60
	like "--memory: seen by stats" "$(dk stats --no-stream --format '{{.MemUsage}}' lim)" "*/ 64MiB"
	is "update --memory" "$(dk update --memory 96m --memory-swap 96m lim > /dev/null 2>&1; cgroup lim memory.limit_in_bytes memory.max)" 100663296
	is "--pids-limit: a fork bomb is stopped" "$(dk exec lim sh -c 'i=0; while [ $i -lt 100 ]; do sleep 3 & i=$((i+1)); done; echo all' 2>&1 | grep -c "^all")" 0
	is "--pids-limit: and the container lives" "$(inspect lim '{{.State.Running}}')" true
	dk rm -f lim > /dev/null
	bg --name oom --memory 48m --memory-swap 48m bb dd if=/dev/zero of=/dev/null bs=200M count=1
	is "--memory: too much of it" "$(timeout 30 "$DOCKER" wait oom; inspect oom '{{.State.OOMKilled}}')" $'137\ntrue'
	dk rm -f oom > /dev/null
}

files() {
	mkdir -p "$T/vol"
	echo from-host > "$T/vol/in"
	is "--read-only" "$(run --read-only bb sh -c 'touch /x 2>&1; echo $?')" $'touch: /x: Read-only file system\n1'
	is "--read-only with --tmpfs" "$(run --read-only --tmpfs /t bb sh -c 'echo y > /t/x; cat /t/x')" y
	is "--tmpfs: its size" "$(run --tmpfs /t:size=1m bb sh -c 'head -c 3000000 /dev/zero > /t/x 2> /dev/null; wc -c < /t/x')" 1048576
	is "-v directory" "$(run -v "$T/vol:/data" bb sh -c 'cat /data/in; echo from-inside > /data/out'; cat "$T/vol/out")" $'from-host\nfrom-inside'
	for i in $(seq 30); do mkdir -p "$T/many/$i"; : > "$T/many/$i/file$i"; done # the host's order puts the name last in some
	is "-v: directories of one file each" "$(run -v "$T/many:/m" bb find /m -type f | wc -l)" 30
	is "-v directory:ro" "$(run -v "$T/vol:/data:ro" bb sh -c 'touch /data/x 2> /dev/null || echo refused')" refused
	is "-v one file" "$(run -v "$T/vol/in:/etc/motd:ro" bb cat /etc/motd)" from-host
	is "a named volume outlives its container" "$(run -v named:/n bb sh -c 'echo kept > /n/f'; run -v named:/n bb cat /n/f)" kept
	is "--shm-size" "$(run --shm-size 4m bb sh -c 'df -k /dev/shm | tail -n 1' | awk '{ print $2 }')" 4096
	bg --name cp -v "$T/vol:/data" bb sleep 1000
	is "cp from the image" "$(dk cp cp:/etc/group - | tar -xO)" "$(cat "$T/rootfs/etc/group")"
	is "cp into a running container" "$(echo copied > "$T/copy"; dk cp "$T/copy" cp:/root/copy 2> /dev/null; dk exec cp cat /root/copy 2>&1)" copied
	is "cp from a volume" "$(dk exec cp sh -c 'echo v > /data/v'; dk cp cp:/data/v - | tar -xO)" v
	dk rm -f cp > /dev/null
}

restarting() {
	bg --name again --restart on-failure:2 bb sh -c 'echo once more; exit 3'
	for _ in $(seq 100); do [ "$(inspect again '{{.State.Status}}')" = exited ] && break; sleep 0.2; done
	is "--restart on-failure:2" "$(inspect again '{{.RestartCount}} {{.State.ExitCode}}') $(dk logs again | wc -l)" "2 3 3"
	dk rm -f again > /dev/null
	bg --name always --restart always bb sleep 1000
	dk exec always kill -9 1 2> /dev/null
	local pid; pid=$(inspect always '{{.State.Pid}}')
	# a container that did not start has pid 0, and "kill 0" would end this test and all it started
	[[ $pid =~ ^[0-9]+$ ]] && [ "$pid" -gt 1 ] && kill -9 "$pid"
	for _ in $(seq 50); do [ "$(inspect always '{{.RestartCount}} {{.State.Status}}')" = "1 running" ] && break; sleep 0.2; done
	is "--restart always, after a kill" "$(inspect always '{{.RestartCount}} {{.State.Status}}')" "1 running"
	is "the restarted container works" "$(dk exec always echo yes 2>&1)" yes
	dk rm -f always > /dev/null
}

# suite LABEL RUNTIME
suite() {
	label=$1 runtime=$2
	running; terminals; living; limits; files; restarting
	is "nothing is left" "$(dk ps -aq)$(for _ in $(seq 30); do [ -z "$(ours)" ] && break; sleep 0.1; done; ours)" ""
}

driver=overlay2
grep -qw overlay /proc/filesystems || driver=vfs
make_busybox_rootfs "$T/rootfs"
bindir=$(dirname "$(readlink -f "$RUNSC")")

start_daemons "$bindir" '{"runtimes": {"runsc": {"path": "'"$(readlink -f "$RUNSC")"'"},
	"plain": {"path": "'"$(readlink -f "$RUNSC")"'", "runtimeArgs": ["--overlay2=none"]}}}'
echo "== dockerd $(dk version -f '{{.Server.Version}}'), storage $driver"
tar -C "$T/rootfs" -c . | dk import - bb > /dev/null || { not_ok "docker: import" "$(tail -1 "$T/dockerd.log")"; exit 1; }
suite "docker, runsc by path" runsc
runtime=plain
bg --name changed bb sh -c 'echo changed > /root/new; sleep 1000'
sleep 1
is "without overlay: cp of what the container wrote" "$(dk cp changed:/root/new - | tar -xO)" changed
like "without overlay: diff" "$(dk diff changed)" "*A /root/new*"
is "without overlay: commit" "$(dk commit changed bb2 > /dev/null; run bb2 cat /root/new)" changed
dk rm -f changed > /dev/null
stop_daemons

if [ "$("$DOCKERD" --version | sed 's/.*version \([0-9]*\).*/\1/')" -ge 23 ]; then
	start_daemons "$bindir" '{"runtimes": {"runsc": {"runtimeType": "io.containerd.runsc.v1"}}}'
	suite "docker, runtimeType io.containerd.runsc.v1" runsc
else
	skip "docker, runtimeType io.containerd.runsc.v1" "dockerd before 23 has no runtimeType; the shim is tried as containerd-shim-runc-v2"
	mkdir -p "$T/bin"
	ln -s "$bindir/containerd-shim-runsc-v1" "$T/bin/containerd-shim-runc-v2"
	start_daemons "$T/bin" '{"runtimes": {"runsc": {"path": "'"$(readlink -f "$RUNSC")"'"}}}'
	suite "docker, our shim" runsc
fi
exit $failed

# Sourced by the tests of this folder: a private containerd that touches nothing of the machine's own.
# Model: all below one temporary directory; what was started is ended by its process id, what was mounted
# is unmounted, also when the test is interrupted.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../../.." && pwd)
T=$(mktemp -d "${TMPDIR:-/tmp}/e2e-containerd.XXXXXX")
CONTAINERD=${CONTAINERD:-$(command -v containerd)}
CTR=${CTR:-$(command -v ctr)}
NS=e2e$$ # cgroups are named after it
# SHIM_TOML: more lines for the shim's config.toml
export LABEL=${LABEL:-containerd}
export CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1
pass=0 fail=0
cd_pid= ev_pid=

ctr() { timeout "${CTR_TIMEOUT:-60}" "$CTR" -a "$T/containerd.sock" -n $NS "$@"; }

# the daemons: not the short-lived "start" and "delete", nor children of a daemon that have not executed yet
shims() { pgrep -P 1 -f "containerd-shim-runsc-v1 -namespace [^ ]+ -id [^ ]+ -address $T/containerd.sock( -debug)?$" || true; }

cleanup() {
	set +e
	[ -n "$ev_pid" ] && kill "$ev_pid" 2>/dev/null
	[ -n "$cd_pid" ] && kill "$cd_pid" 2>/dev/null && wait "$cd_pid" 2>/dev/null
	for p in $(shims); do kill -9 "$p"; done
	# what containerd would do about dead shims
	for b in "$T"/state/io.containerd.{runtime.v2.task,sandbox.controller.v1.shim}/*/*/; do
		[ -d "$b" ] || continue
		(cd "$b" && timeout 20 containerd-shim-runsc-v1 -namespace "$(basename "$(dirname "$b")")" -id "$(basename "$b")" delete) >/dev/null 2>&1
	done
	rmdir "/run/containerd/runsc/$NS" 2>/dev/null # of containers without a configuration of ours
	rmdir /sys/fs/cgroup/$NS /sys/fs/cgroup/*/$NS 2>/dev/null
	for m in $(awk -v t="$T" 'index($2, t) == 1 { print $2 }' /proc/mounts | sort -r); do umount -l "$m"; done
	[ "${KEEP:-0}" = 1 ] && echo "kept: $T" || rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

start_containerd() {
	# NETNS=1: in a network namespace of its own, for CNI's bridge
	${NETNS:+unshare -n sh -c 'ip link set lo up; exec "$0" "$@"'} "$CONTAINERD" -c "$T/config.toml" >>"$T/containerd.log" 2>&1 &
	cd_pid=$!
	for _ in $(seq 200); do ctr version >/dev/null 2>&1 && return; sleep 0.05; done
	echo "containerd does not come up"; tail "$T/containerd.log"; exit 1
}
stop_containerd() { kill "${1:--TERM}" "$cd_pid"; wait "$cd_pid" 2>/dev/null; cd_pid=; }

start_events() { stdbuf -oL "$CTR" -a "$T/containerd.sock" -n $NS events >>"$T/events" 2>/dev/null & ev_pid=$!; sleep 0.3; }

# setup BINDIR: containerd with the shim found in BINDIR
setup() {
	export PATH="$1:$PATH"
	cat >"$T/config.toml" <<-C
		version = 2
		root = "$T/root"
		state = "$T/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
		[grpc]
		address = "$T/containerd.sock"
		[debug]
		level = "debug"
		[plugins."io.containerd.internal.v1.opt"]
		path = "$T/opt"
	C
	printf 'root = "%s/runsc"\n%b' "$T" "${SHIM_TOML:-}" >"$T/shim.toml"
	start_containerd
	start_events
	image
}

# The same with the CRI plugin; configuration of version 2 for containerd 1.x, else version 3. CERTS: a folder of registry
# mirrors; PORTMAP=1: host ports of pods are mapped.
setup_cri() {
	export PATH="$1:$PATH"
	printf 'root = "%s/runsc"\n%b' "$T" "${SHIM_TOML:-}" >"$T/shim.toml"
	mkdir -p "$T/cni"
	local masq=false more=
	[ -n "${PORTMAP:-}" ] && masq=true more=', {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}'
	cat >"$T/cni/10-e2e.conflist" <<-C
		{"cniVersion": "0.4.0", "name": "e2e", "plugins": [{"type": "bridge", "bridge": "e2e0", "isGateway": true, "hairpinMode": true,
		 "ipMasq": $masq,
		 "ipam": {"type": "host-local", "dataDir": "$T/ipam", "ranges": [[{"subnet": "10.99.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}
		 $more]}
	C
	case "$("$CONTAINERD" --version)" in *" 1."* | *" v1."*) local v=2 rt=io.containerd.grpc.v1.cri ;; *) local v=3 rt=io.containerd.cri.v1.runtime ;; esac
	{
		printf 'version = %s\nroot = "%s/root"\nstate = "%s/state"\n' $v "$T" "$T"
		printf '[grpc]\naddress = "%s/containerd.sock"\n[debug]\nlevel = "debug"\n' "$T"
		printf 'path = "%s/opt"\n' "$T" | sed '1i [plugins."io.containerd.internal.v1.opt"]'
		[ $v = 2 ] && printf '[plugins."%s"]\nsandbox_image = "docker.io/local/test:1"\nstream_server_port = "0"\ndisable_apparmor = true\nrestrict_oom_score_adj = true\nnetns_mounts_under_state_dir = true\n' $rt
		[ $v = 3 ] && printf '[plugins."io.containerd.cri.v1.images".pinned_images]\nsandbox = "docker.io/local/test:1"\n[plugins."%s"]\ndisable_apparmor = true\nrestrict_oom_score_adj = true\nnetns_mounts_under_state_dir = true\n' $rt
		[ -n "${CERTS:-}" ] && printf '[plugins."%s".registry]\nconfig_path = "%s"\n' $([ $v = 2 ] && echo $rt || echo io.containerd.cri.v1.images) "$CERTS"
		printf '[plugins."%s".containerd]\ndefault_runtime_name = "runsc"\n' $rt
		printf '[plugins."%s".containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\n' $rt
		printf '[plugins."%s".cni]\nconf_dir = "%s/cni"\n' $rt "$T"
		case "$("$CONTAINERD" --version)" in *" 1."* | *" v1."* | *" v2.0."* | *" 2.0."*) echo 'bin_dir = "/usr/lib/cni"' ;; *) echo 'bin_dirs = ["/usr/lib/cni"]' ;; esac
		for h in runsc runsc-shim; do
			printf '[plugins."%s".containerd.runtimes.%s]\nruntime_type = "io.containerd.runsc.v1"\n' $rt $h
			[ $h = runsc-shim ] && [ $v = 3 ] && echo 'sandboxer = "shim"'
			printf '[plugins."%s".containerd.runtimes.%s.options]\nTypeUrl = "io.containerd.runsc.v1.options"\nConfigPath = "%s/shim.toml"\n' $rt $h "$T"
		done
	} >"$T/config.toml"
	start_containerd
	image
}

# An image of one layer: busybox and its links.
image() {
	local r="$T/img"
	mkdir -p "$r/layer/bin" "$r/layer/tmp" "$r/layer/proc" "$r/layer/dev" "$r/layer/sys" "$r/layer/etc"
	cp /bin/busybox "$r/layer/bin/busybox"
	for a in sh cat echo sleep true false dd head md5sum stty kill ls yes wc tty sed seq; do ln "$r/layer/bin/busybox" "$r/layer/bin/$a"; done
	printf 'root:x:0:0:root:/:/bin/sh\n' >"$r/layer/etc/passwd"
	tar -C "$r/layer" -cf "$r/layer.tar" .
	python3 - "$r" <<-'P'
		import sys, json, hashlib, os, tarfile, io
		r = sys.argv[1]
		layer = open(r + '/layer.tar', 'rb').read()
		ld = hashlib.sha256(layer).hexdigest()
		cfg = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sleep", "1000000"], "Env": ["PATH=/bin"]},
		                  "rootfs": {"type": "layers", "diff_ids": ["sha256:" + ld]}}).encode()
		cd = hashlib.sha256(cfg).hexdigest()
		man = json.dumps([{"Config": cd + ".json", "RepoTags": ["local/test:1"], "Layers": ["layer.tar"]}]).encode()
		with tarfile.open(r + '/image.tar', 'w') as t:
		    for name, data in ((cd + '.json', cfg), ('layer.tar', layer), ('manifest.json', man)):
		        i = tarfile.TarInfo(name); i.size = len(data); t.addfile(i, io.BytesIO(data))
	P
	ctr image import "$r/image.tar" >/dev/null || { echo "image import failed"; exit 1; }
	IMG=$(ctr image ls -q | head -1)
}

RUN=(--runtime io.containerd.runsc.v1 --runtime-config-path)
run() { ctr run "${RUN[@]}" "$T/shim.toml" "$@"; }

ok() { pass=$((pass + 1)); echo "ok $1"; }
bad() { fail=$((fail + 1)); echo "not ok $1: $2"; }
# check NAME GOT WANTED
check() { if [ "$2" = "$3" ]; then ok "$LABEL: $1"; else bad "$LABEL: $1" "wanted '$3', got '$(printf %s "$2" | head -c 300 | tr '\n' '|')'"; fi; }
finish() { echo "$LABEL: $pass passed, $fail failed"; [ "$fail" = 0 ]; }
wait_for() { for _ in $(seq "${2:-100}"); do eval "$1" && return 0; sleep 0.05; done; return 1; }
events_of() { sed -nE "/\"container_id\":\"$1\"/s/.* (\/tasks\/[a-z-]+) .*/\1/p" "$T/events" | tr '\n' ' ' | sed 's/ $//'; }

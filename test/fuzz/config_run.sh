#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the fuzzer of config.json handling. usage: config_run.sh [SECONDS, default 20] [corpus directory]
set -eu
cd "$(dirname "$0")/../.."
secs=${1:-20} corpus=$(realpath -m "${2:-build/fuzz/corpus}")
command -v clang >/dev/null || { echo "SKIP config fuzzer: clang is not installed"; exit 0; }
O=$PWD/build/fuzz
mkdir -p "$O" "$corpus/config"
make -s build/rel/libproto.a >/dev/null
clang -std=gnu17 -O1 -g -D_GNU_SOURCE -I. -Iproto -Ibuild/rel/gen -idirafter /usr/include/libnl3 -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined -DVERSION='"fuzz"' -pthread -o "$O/config_json" test/fuzz/config_json_fuzz.c runsc/lib/*.c \
	$(find cni -name '*.c' 2>/dev/null) proto/*.c proto/base/*.c build/rel/gen/*.pb-c.c -lprotobuf-c -ljson-c -lseccomp -lnl-route-3 -lnl-3 2>"$O/config_build.log" || {
	tail -5 "$O/config_build.log"; echo "not ok fuzz/config_json: build: see above"; exit 1; }
python3 - "$corpus/config" <<'PY'
import json, sys
base = {"ociVersion": "1.0.2", "process": {"args": ["sh"], "cwd": "/", "env": ["A=b"], "user": {"uid": 0, "gid": 0, "additionalGids": [1]},
        "capabilities": {"bounding": ["CAP_KILL"]}, "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}],
        "scheduler": {"policy": "SCHED_BATCH", "nice": 3}},
        "root": {"path": ".", "readonly": True}, "hostname": "h",
        "mounts": [{"destination": "/t", "type": "tmpfs", "options": ["size=1m", "ro"]}, {"destination": "/d", "type": "bind", "source": "/proc/self"}],
        "annotations": {"dev.gvisor.spec.mount.x.source": "/proc/self", "dev.gvisor.spec.mount.x.type": "tmpfs", "dev.gvisor.spec.mount.x.share": "pod"},
        "hooks": {"poststop": [{"path": "/h", "args": ["h"], "timeout": 1}]},
        "linux": {"namespaces": [{"type": "network"}, {"type": "uts"}, {"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 5, "size": 9}],
                  "gidMappings": [{"containerID": 0, "hostID": 5, "size": 9}], "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 2}],
                  "sysctl": {"net.x": "1"}, "maskedPaths": ["/m"], "resources": {"memory": {"limit": 5}, "cpu": {"quota": 5, "period": 7}}}}
for n, (kind, doc) in enumerate([(0, base), (1, base["process"]), (2, base["linux"]["resources"])]):
    open(f"{sys.argv[1]}/seed{n}", "wb").write(bytes([kind]) + json.dumps(doc).encode())
PY
if timeout $((secs + 60)) "$O/config_json" -max_total_time="$secs" -timeout=10 -rss_limit_mb=1024 -max_len=8192 \
	-print_final_stats=1 -artifact_prefix="$O/" "$corpus/config" > "$O/config.log" 2>&1; then
	grep -E 'DONE|number_of_executed' "$O/config.log" | tail -2
	echo "ok fuzz/config_json"
else
	tail -40 "$O/config.log"
	echo "not ok fuzz/config_json: see above"
	exit 1
fi

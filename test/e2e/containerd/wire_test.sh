#!/usr/bin/env bash
# The shim's wire formats against containerd's Go packages (wire/). Usage: wire_test.sh BINDIR
# Needs a Go toolchain and its module proxy; skips, saying so, where there is none.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
command -v go >/dev/null || { echo "skip wire: no Go toolchain"; exit 0; }
W=$(mktemp -d "${TMPDIR:-/tmp}/wire.XXXXXX")
cleanup() {
	for p in $(pgrep -f "containerd-shim-runsc-v1 .*-address $W/b/c.sock" || true); do kill -9 "$p"; done
	rm -rf "$W"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
(cd "$here/wire" && CGO_ENABLED=0 GOFLAGS=-buildvcs=false timeout 300 go build -o "$W/wire" .) || { echo "skip wire: the Go modules cannot be had"; exit 0; }
(cd "$top/proto" && protoc-c --proto_path=. --include_imports --descriptor_set_out="$W/set" \
	wkt.proto mount.proto task.proto sandbox.proto events.proto bootstrap.proto streaming.proto cgroups1.proto cgroups2.proto)
"$W/wire" fields "$W/set"
mkdir -p "$W/rootfs.img/bin" "$W/b"
cp /bin/busybox "$W/rootfs.img/bin/"
for a in sh cat yes head; do ln "$W/rootfs.img/bin/busybox" "$W/rootfs.img/bin/$a"; done
printf 'root = "%s/runsc"\n' "$W" >"$W/b/config.toml" # found in the bundle, the shim's working directory

WIRE_ROOTFS="$W/rootfs.img" timeout 60 "$W/wire" sandbox "$1/containerd-shim-runsc-v1" "$W/b"

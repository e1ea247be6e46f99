#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds a Debian package from bin/: build/runsc_VERSION_amd64.deb. Needs dpkg-deb only; the binaries are static.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${VERSION:-0.1.0+git$(git log -1 --format=%cd.%h --date=format:%Y%m%d 2>/dev/null || echo 0)}
for f in runsc containerd-shim-runsc-v1; do [ -x "bin/$f" ] || { echo "bin/$f is not built: make" >&2; exit 1; }; done
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
umask 022
install -D -m 0755 -s bin/runsc "$d/usr/bin/runsc"
install -D -m 0755 -s bin/containerd-shim-runsc-v1 "$d/usr/bin/containerd-shim-runsc-v1"
install -D -m 0644 packaging/containerd/runsc.toml "$d/etc/containerd/runsc/config.toml"
doc=$d/usr/share/doc/runsc
mkdir -p "$doc/examples" "$d/DEBIAN"
cp packaging/containerd/config-v2.toml packaging/containerd/config-v3.toml packaging/docker/daemon.json \
	packaging/crio/10-runsc.conf packaging/kubernetes/runtimeclass.yaml "$doc/examples/"
[ ! -e README.md ] || cp README.md "$doc/"
echo /etc/containerd/runsc/config.toml >"$d/DEBIAN/conffiles"
cat >"$d/DEBIAN/control" <<C
Package: runsc
Version: $version
Architecture: amd64
Maintainer: The project <root@localhost>
Section: admin
Priority: optional
Installed-Size: $(du -sk "$d" | cut -f1)
Suggests: containerd | docker.io | podman
Description: application kernel for containers
 An OCI runtime and a containerd shim that put a kernel in user space between
 containers and the host. Install, then name runsc as a runtime of containerd
 or Docker: see the examples in /usr/share/doc/runsc.
C
mkdir -p build
dpkg-deb --root-owner-group -b "$d" "build/runsc_${version}_amd64.deb"

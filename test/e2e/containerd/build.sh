#!/usr/bin/env bash
# Builds the shim against fakelc.c: build/rel/test/fake/containerd-shim-runsc-v1, or build/san with SAN=1.
set -euo pipefail
cd "$(dirname "$0")/../../.."
O=build/rel; extra=()
[ "${SAN:-0}" = 1 ] && { O=build/san; extra=(-fsanitize=address,undefined); }
make -s SAN="${SAN:-0}" "$O"/liblifecycle.a "$O"/libproto.a "$O"/libbase.a $(for f in shim/*.c; do echo "$O/$f.o"; done) >/dev/null
mkdir -p "$O/test/fake"
gcc -std=gnu17 -O2 -g -D_GNU_SOURCE -I. -Iproto -I"$O/gen" -Wall "${extra[@]}" -c -o "$O/test/fake/fakelc.o" test/e2e/containerd/fakelc.c
gcc "${extra[@]}" -pthread -o "$O/test/fake/containerd-shim-runsc-v1" $(for f in shim/*.c; do echo "$O/$f.o"; done) "$O/test/fake/fakelc.o" \
	-Wl,--start-group "$O"/liblifecycle.a "$O"/libproto.a "$O"/libbase.a -Wl,--end-group -lprotobuf-c -ljson-c
echo "$O/test/fake"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Debian's diod client tools against our gofer: plain 9P2000.L from a peer that is not ours.
# usage: gofer_diod.sh [COMMAND of the gofer, default "bin/runsc gofer"]
set -u
cd "$(dirname "$0")/../.."
GOFER=${1:-"bin/runsc gofer"}
for t in diodls diodcat; do
	command -v $t >/dev/null || PATH=$PATH:/usr/sbin
	command -v $t >/dev/null || { echo "skip gofer/diod: $t is not installed (Debian package diod)"; exit 0; }
done
[ "$(id -u)" = 0 ] || { echo "skip gofer/diod: needs root for mounts"; exit 0; }

dir=$(mktemp -d)
pid=
trap 'if [ -n "$pid" ]; then kill "$pid"; wait "$pid"; fi 2>/dev/null; rm -rf "$dir"' EXIT
fail=0
check() { # name, expected, got
	if [ "$2" = "$3" ]; then echo "ok gofer/$1"; else echo "not ok gofer/$1: differs"; diff <(echo "$2") <(echo "$3") | head -10; fail=1; fi
}

mkdir -p "$dir/root/sub/deeper"
echo outside >"$dir/outside"
echo hello >"$dir/root/hello"
echo deep >"$dir/root/sub/deeper/file"
ln -s ../outside "$dir/root/link"
head -c 3000000 /dev/urandom >"$dir/root/big"
for i in $(seq 500); do : >"$dir/root/sub/file$i"; done

# shellcheck disable=SC2086
python3 test/e2e/gofer_accept.py "$dir/sock" $GOFER --no-init --mount "rw:$dir/root" &
pid=$!
for _ in $(seq 100); do [ -S "$dir/sock" ] && break; sleep 0.02; done

D=(-s "$dir/sock" -t 10)
check "diodcat a file" hello "$(diodcat "${D[@]}" -a 0 hello)"
check "diodcat below directories" deep "$(diodcat "${D[@]}" -a 0 sub/deeper/file)"
check "diodcat 3 MB" "$(sha256sum <"$dir/root/big")" "$(diodcat "${D[@]}" -a 0 big | sha256sum)"
check "diodcat 3 MB, messages of 8 KiB" "$(sha256sum <"$dir/root/big")" "$(diodcat "${D[@]}" -m 8192 -a 0 big | sha256sum)"
check "diodls the root" "$(cd "$dir/root" && ls -a | grep -v '^\.' | sort)" "$(diodls "${D[@]}" -a 0 / | grep -v '^\.' | tr -s ' ' '\n' | grep . | sort)"
check "diodls -l of a directory" 500 "$(diodls "${D[@]}" -a 0 -l sub 2>/dev/null | grep -c file)"
check "no such file" 1 "$(diodcat "${D[@]}" -a 0 nothing 2>&1 | grep -ci 'no such file')"
check "a link is not followed" "" "$(diodcat "${D[@]}" -a 0 link 2>/dev/null)"
check "no way up" "" "$(diodcat "${D[@]}" -a 0 ../outside 2>/dev/null)"
check "unknown attach name" "" "$(diodcat "${D[@]}" -a 7 hello 2>/dev/null)"
exit $fail

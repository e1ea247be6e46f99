#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs each test/guest/*.c on the host kernel first, then inside runsc: the same program must exit 0 in both (77 = skipped).
# A line " * Inside with: CAP_X" in a program's header gives it that capability in the container.
# Usage: run.sh [name-prefix]; FLAGS = further global flags of runsc
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
need_packages gcc libc6-dev busybox-static jq || { skip guest "packages"; exit 0; }
work=$(mktemp -d /tmp/guest.XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root/state"
make_busybox_rootfs "$work/rootfs"
mkdir -p "$work/rootfs/t"
pass=0
for src in "$TOP"/test/guest/${1:-}*.c; do
	[ -e "$src" ] || continue
	name=$(basename "$src" .c)
	if ! gcc -O1 -g -static -pthread -D_GNU_SOURCE -I"$TOP/test/guest" -o "$work/rootfs/t/$name" "$src" -lrt 2> "$work/cc.log"; then
		not_ok "guest/$name" "does not compile: $(head -3 "$work/cc.log" | tr '\n' ' ')"
		continue
	fi
	for try in 1 2; do	# a machine that stalls or whose clock is set may fail even the host
		(cd "$work" && timeout 60 "$work/rootfs/t/$name" > native.log 2>&1 < /dev/null)
		st=$?
		[ $st -eq 0 ] || [ $st -eq 77 ] && break
	done
	if [ $st -eq 77 ]; then skip "guest/$name" "natively: $(tail -1 "$work/native.log")"; continue; fi
	if [ $st -ne 0 ]; then not_ok "guest/$name" "natively: status $st: $(tail -2 "$work/native.log" | tr '\n' ' ')"; continue; fi
	caps=$(sed -n 's/^ \* Inside with: *//p' "$src" | head -1)
	EXTRA_JQ="${GUEST_JQ:-.} | .process.capabilities |= map_values(. + (\"$caps\" / \" \" | map(select(. != \"\"))))" make_bundle "$work/b" "$work/rootfs" "/t/$name"
	# A failure gets a second try on these crowded machines; one that needed it says so, with what the first try said.
	first=
	for try in 1 2; do
		timeout -k 5 "${GUEST_TIMEOUT:-60}" "$RUNSC" --root "$work/root/state" ${FLAGS:-} run --bundle "$work/b" "g$$-$name" > "$work/in.log" 2>&1 < /dev/null
		st=$?
		[ $st -eq 0 ] || [ $st -eq 77 ] && break
		"$RUNSC" --root "$work/root/state" delete --force "g$$-$name" > /dev/null 2>&1
		[ $try -eq 1 ] && first=" (second try; first: status $st: $(tail -1 "$work/in.log" | cut -c1-160))"
	done
	if [ $st -eq 0 ]; then ok "guest/$name$first"
	elif [ $st -eq 77 ]; then skip "guest/$name" "inside: $(tail -1 "$work/in.log")"
	else not_ok "guest/$name" "status $st: $(tail -3 "$work/in.log" | tr '\n' ' ')"
	fi
done

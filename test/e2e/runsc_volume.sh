#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A bind mount that the host changes while the container uses it: each side sees the other's changes at once, and a
# directory that is swapped for a link under a running container never leads it out of the mount.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip runsc_volume "needs root"; exit 0; }
need_packages jq busybox-static || { skip runsc_volume "packages"; exit 0; }
work=$(mktemp -d /tmp/runsc_volume.XXXXXX)
id=vol-$$ v=$work/vol swapper=
rt() { timeout -k 2 60 "$RUNSC" --root "$work/state" "$@" < /dev/null; }
cleanup() {
	[ -z "$swapper" ] || { kill "$swapper"; wait "$swapper"; } 2> /dev/null
	rt delete --force "$id" > /dev/null 2>&1
	umount "$work/small" 2> /dev/null
	rm -rf "$work"
}
trap cleanup EXIT
check() { local name=$1; shift; if "$@" > "$work/log" 2>&1; then ok "runsc_volume/$name"; else not_ok "runsc_volume/$name" "$* ($(tail -2 "$work/log" | tr '\n' ' '))"; fi; }
inside() { rt exec "$id" /bin/sh -c "$1"; }	# a command inside

make_busybox_rootfs "$work/rootfs"
mkdir -p "$v/a/b/c" "$work/secret" "$work/small"
mount -t tmpfs -o size=2m none "$work/small" || { skip runsc_volume "no mounts here"; exit 0; }
echo outside > "$work/secret/file"
echo one > "$v/a/b/c/file"
EXTRA_JQ='.mounts += [{destination: "/vol", type: "bind", source: "'$v'", options: ["rbind", "rw"]},
	{destination: "/small", type: "bind", source: "'$work/small'", options: ["rbind", "rw"]}]' \
	make_bundle "$work/b" "$work/rootfs" /bin/sh -c 'while :; do sleep 1000; done'
rt run --detach --bundle "$work/b" "$id" > "$work/log" 2>&1 || { not_ok runsc_volume/start "$(tail -1 "$work/log")"; exit 0; }

# ---- one side changes, the other looks ----
check reads test "$(inside 'cat /vol/a/b/c/file')" = one
echo two > "$v/a/b/c/file"
check content_changed test "$(inside 'cat /vol/a/b/c/file; stat -c %s /vol/a/b/c/file' | tr '\n' ' ')" = "two 4 "
echo replaced > "$work/new" && mv "$work/new" "$v/a/b/c/file"
check file_replaced test "$(inside 'cat /vol/a/b/c/file')" = replaced
mv "$v/a/b" "$v/a/moved"
check directory_moved test "$(inside 'test -e /vol/a/b || cat /vol/a/moved/c/file')" = replaced
ln -s moved "$v/a/b"
check link_in_its_place test "$(inside 'cat /vol/a/b/c/file')" = replaced
rm "$v/a/b" && ln -s "$work/secret" "$v/a/b"
check link_out_of_it test -z "$(inside 'cat /vol/a/b/file 2> /dev/null')"
rm "$v/a/b" && mkdir -p "$v/a/b" && chmod 700 "$v/a/moved" && chown 1 "$v/a/moved"
check mode_and_owner test "$(inside 'stat -c "%a %u" /vol/a/moved')" = "700 1"
check not_for_others test -z "$(rt exec --user 7:7 "$id" /bin/cat /vol/a/moved/c/file 2> /dev/null)"
check made_inside bash -c "'$RUNSC' --root '$work/state' exec '$id' /bin/sh -c 'mkdir /vol/d && echo in > /vol/d/f && ln -s f /vol/d/l && ln /vol/d/f /vol/d/h && mv /vol/d/f /vol/d/g' < /dev/null &&
	test \"\$(ls '$v/d' | tr '\n' ' ')\" = 'g h l ' && test \"\$(cat '$v/d/h')\" = in && test \"\$(readlink '$v/d/l')\" = f"
check removed_inside bash -c "'$RUNSC' --root '$work/state' exec '$id' /bin/sh -c 'rm -r /vol/d' < /dev/null && test ! -e '$v/d'"
mkdir "$v/e" && echo x > "$v/e/f"
check exists_already test "$(inside 'mkdir /vol/e 2> /dev/null; echo $?; (set -C; echo y > /vol/e/f) 2> /dev/null; echo $?; cat /vol/e/f' | tr '\n' ' ')" = "1 1 x "
rm -r "$v/e"
check gone_already test "$(inside 'rm /vol/e/f 2> /dev/null; echo $?; rmdir /vol/e 2> /dev/null; echo $?' | tr '\n' ' ')" = "1 1 "

check space_comes_back test "$(inside 'i=0; while [ $i -lt 60 ]; do dd if=/dev/zero of=/small/x bs=1k count=120 2> /dev/null || echo full; rm /small/x; i=$((i+1)); done; echo end')" = end

# ---- an open file stays the one that was opened ----
echo old > "$v/open"
rt exec "$id" /bin/sh -c 'exec 3< /vol/open; echo > /vol/ready; while [ -e /vol/ready ]; do sleep 0.05; done; cat <&3 > /vol/seen; cat /vol/open >> /vol/seen' &
opener=$!
for _ in $(seq 600); do [ -e "$v/ready" ] && break; sleep 0.1; done
echo new > "$work/new" && mv "$work/new" "$v/open"
rm -f "$v/ready"
wait "$opener"
check open_file_stays test "$(tr '\n' ' ' < "$v/seen")" = "old new "

# ---- races ----
mkdir -p "$v/real" && echo inside > "$v/real/file" && mv "$v/real" "$v/r"
( while :; do
	mv "$v/r" "$v/real"; ln -s "$work/secret" "$v/r"
	rm "$v/r"; mv "$v/real" "$v/r"
done ) 2> /dev/null &
swapper=$!
seen=$(inside 'exec 2> /dev/null; i=0; while [ $i -lt 400 ]; do cat /vol/r/file; ls /vol/r > /dev/null; echo $i > /vol/r/w; rm /vol/r/w; i=$((i+1)); done' | sort -u)
kill "$swapper"; wait "$swapper" 2> /dev/null; swapper=
check swapped_for_a_link test "$seen" = inside -o -z "$seen"
check nothing_made_outside test "$(ls "$work/secret")" = file
n=$(for i in 1 2 3 4; do inside 'i=0; while [ $i -lt 100 ]; do mkdir /vol/m$i 2> /dev/null && echo made; i=$((i+1)); done' & done; for i in $(seq 0 99); do mkdir "$v/m$i" 2> /dev/null && echo made; done; wait)
check each_made_once test "$(echo "$n" | grep -c made)" = 100
check all_seen test "$(inside 'ls -d /vol/m* | wc -l')" = 100
n=$(for i in 1 2 3 4; do inside 'i=0; while [ $i -lt 100 ]; do rmdir /vol/m$i 2> /dev/null && echo gone; i=$((i+1)); done' & done; for i in $(seq 99 -1 0); do rmdir "$v/m$i" 2> /dev/null && echo gone; done; wait)
check each_removed_once test "$(echo "$n" | grep -c gone)" = 100

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A plain user runs sandboxes: do, run, exec, state, kill, delete, without root, cgroups or a network.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip runsc_rootless "needs root, to become somebody without"; exit 0; }
need_packages jq busybox-static util-linux || { skip runsc_rootless "packages"; exit 0; }
plain() { (cd "$work" && timeout -k 2 30 setpriv --reuid 65533 --regid 65533 --clear-groups env -i PATH="$PATH" XDG_RUNTIME_DIR="$work/run" "$@"); }
work=$(mktemp -d /tmp/runsc_rootless.XXXXXX)
rt() { plain "$work/runsc" "$@"; }
cleanup() {
	rt delete --force l > /dev/null 2>&1
	rm -rf "$work"
}
trap cleanup EXIT
cp "$RUNSC" "$work/runsc"
make_busybox_rootfs "$work/rootfs"
make_bundle "$work/l" "$work/rootfs" /bin/sh -c 'echo up > /tmp/up; while :; do sleep 1; done'
make_bundle "$work/r" "$work/rootfs" /bin/sh -c 'id -u; echo x > /new && cat /new; exit 5'
mkdir "$work/run"
chown -R 65533:65533 "$work"
plain unshare -Urm true 2> /dev/null || { skip runsc_rootless "this host gives plain users no user namespaces"; exit 0; }
check() { local name=$1; shift; if "$@" > "$work/log" 2>&1; then ok "runsc_rootless/$name"; else not_ok "runsc_rootless/$name" "$(tail -2 "$work/log" | tr '\n' ' ')"; fi; }

check do test "$(rt do echo hello < /dev/null)" = hello
rt do sh -c 'exit 7' < /dev/null; check do_status test $? -eq 7
check do_changes_stay_inside test "$(rt do sh -c "echo x > $work/inside && cat $work/inside" < /dev/null)" = x -a ! -e "$work/inside"
# a directory of somebody else's that may be searched, not read
mkdir -p "$work/searched/below" && chmod 711 "$work/searched" && chown 0:0 "$work/searched" && echo in > "$work/searched/below/f"
check do_search_only test "$(rt do sh -c "cat $work/searched/below/f; ls $work/searched 2> /dev/null || echo refused" < /dev/null | xargs)" = "in refused"
check run_output test "$(rt run --bundle "$work/r" r < /dev/null | tr '\n' ' ')" = "0 x "
rt run --bundle "$work/r" r > /dev/null < /dev/null; check run_status test $? -eq 5
check refused_when_told_so bash -c "! (cd '$work' && setpriv --reuid 65533 --regid 65533 --clear-groups '$work/runsc' --root '$work/run/no' --rootless=false run --bundle '$work/r' r 2> /dev/null < /dev/null)"
rt run --detach --bundle "$work/l" l < /dev/null > /dev/null 2>&1; check run_detached test $? -eq 0
check state test "$(rt state l | jq -r .status)" = running
for _ in $(seq 100); do rt exec l test -e /tmp/up < /dev/null 2> /dev/null && break; sleep 0.1; done
check exec test "$(rt exec l cat /tmp/up < /dev/null)" = up
check owner test "$(ps -o uid= -p "$(rt state l | jq .pid)" | tr -d ' ')" = 65533
check kill rt kill l KILL
for _ in $(seq 100); do [ "$(rt state l | jq -r .status)" = stopped ] && break; sleep 0.1; done
check delete rt delete l
check nothing_left test -z "$(ls -A "$work/run/runsc")"

# without a session there is no $XDG_RUNTIME_DIR: a directory of the user's own in /tmp, and never somebody else's
bare() { plain env -u XDG_RUNTIME_DIR "$work/runsc" "$@"; }
tmp_root=/tmp/runsc-65533
if [ -e $tmp_root ] || [ -e /run/user/65533 ]; then
	skip runsc_rootless/no_session "$tmp_root or /run/user/65533 exists"
else
	check no_session test "$(bare do echo hello < /dev/null)" = hello
	check no_session_directory test "$(stat -c '%u %a' $tmp_root)" = "65533 700"
	bare run --detach --bundle "$work/l" l < /dev/null > /dev/null 2>&1
	check no_session_list test "$(bare list -q)" = l
	check no_session_delete bare delete --force l
	rmdir $tmp_root
	mkdir $tmp_root
	bare do true > "$work/o" 2>&1 < /dev/null; check no_session_taken test $? -eq 1 -a -n "$(bare list 2>&1 | grep -x "root directory $tmp_root is somebody else's: set .*")"
	check no_session_taken_text grep -q "root directory $tmp_root is somebody else's" "$work/o"
	rmdir $tmp_root
	ln -s "$work/run" $tmp_root
	check no_session_link test -n "$(bare list 2>&1 | grep "somebody else's")"
	rm $tmp_root
fi

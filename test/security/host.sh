#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The host's side: how the programs are built, what a root file system full of links can make runsc do outside of it, who may touch our
# files whatever the caller's umask is.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
need_packages busybox-static jq binutils || { skip host "packages"; exit 0; }
[ -x "$RUNSC" ] || { skip host "$RUNSC is not built"; exit 0; }

# ---- how they are built
shim=$TOP/bin/containerd-shim-runsc-v1 zygote=$TOP/build/rel/zygote
check() { # NAME COMMAND...
	local name=$1
	shift
	if "$@"; then ok "host/$name"; else not_ok "host/$name" "no: $*"; fi
}
elf_has() { [ "$(readelf -W "$1" "$2" 2> /dev/null | grep -c -E -- "$3")" -gt 0 ]; }
lacks() { ! "$@"; }
for f in "$RUNSC" "$shim"; do
	b=$(basename "$f")
	check "$b/pie" elf_has -h "$f" 'Type: +DYN'
	check "$b/no-interpreter" lacks elf_has -l "$f" ' INTERP '
	check "$b/relro" elf_has -l "$f" ' GNU_RELRO '
	check "$b/bind-now" elf_has -d "$f" 'FLAGS.*(NOW|BIND_NOW)'
	check "$b/no-text-relocations" lacks elf_has -d "$f" 'TEXTREL'
	check "$b/stack-protector" elf_has -s "$f" '__stack_chk_fail'
	check "$b/fortify" elf_has -s "$f" '__(memcpy|read|snprintf|vsnprintf|memset|strcpy)_chk'
done
for f in "$RUNSC" "$shim" "$zygote"; do # the zygote unmaps the kernel's stack; processes.py looks at what it has
	b=$(basename "$f")
	[ "$f" = "$zygote" ] || check "$b/stack-not-executable" elf_has -l "$f" 'GNU_STACK.* RW +0x'
	check "$b/nothing-writable-and-executable" lacks elf_has -l "$f" 'LOAD.* RWE '
done
[ "$(id -u)" -eq 0 ] || { skip host "not root"; exit 0; }

# ---- a root file system that points out of itself
work=$(mktemp -d /tmp/sec-host.XXXXXX)
id=host$$
rs() { timeout -k 5 "${T:-30}" "$RUNSC" --root "$work/state" "$@"; }
cleanup() {
	for i in $(rs list -q); do rs delete --force "$i"; done
	rm -rf "$work"
} > /dev/null 2>&1
trap cleanup EXIT
up=../../../../../../../../../..
mkdir -p "$work/outside" "$work/vol"
echo "HOST-CANARY" > "$work/outside/secret"
echo "root:x:0:0:root:/STOLEN:/bin/sh" > "$work/outside/passwd"
chmod -R a+rwX "$work/outside"
make_busybox_rootfs "$work/rootfs"
ln -s "$work/outside" "$work/rootfs/abs"
ln -s "$up$work/outside" "$work/rootfs/rel"
mkdir "$work/rootfs/dir"
ln -s "$up$work/outside/made" "$work/rootfs/dir/made"
state() { (cd "$work/outside" && find . -printf '%p %m %s\n' | sort && cat secret passwd) | sha256sum; }
before=$(state)

# run NAME JQ ARGV...: its output is in $out
run() {
	local name=$1 jq=$2
	shift 2
	EXTRA_JQ=$jq make_bundle "$work/b" "$work/rootfs" "$@"
	out=$(rs run --bundle "$work/b" "$id" 2>&1 < /dev/null)
	st=$?
	rs delete --force "$id" > /dev/null 2>&1
	if [ "$(state)" = "$before" ]; then ok "host/links/$name"; else
		not_ok "host/links/$name" "something outside of the root file system changed: $(ls "$work/outside" | tr '\n' ' ')"
		before=$(state)
	fi
	[[ $out != *HOST-CANARY* && $out != *STOLEN* ]] || not_ok "host/links/$name/read" "$out"
}
mnt() { echo ".mounts += [{destination: \"$1\", type: \"bind\", source: \"$work/vol\", options: [\"rbind\", \"rw\"]}]"; }
for d in abs rel; do
	run "mount-below-$d" "$(mnt "/$d/sub")" /bin/sh -c 'echo x > /'$d'/sub/file; cat /'$d'/secret'
	run "mount-on-$d" "$(mnt "/$d")" /bin/sh -c "cat /$d/secret"
	run "tmpfs-below-$d" ".mounts += [{destination: \"/$d/t\", type: \"tmpfs\", source: \"tmpfs\"}]" /bin/sh -c "echo x > /$d/t/x"
	run "cwd-$d" ".process.cwd = \"/$d\"" /bin/cat secret
	run "program-$d" . "/$d/secret"
	run "write-$d" ".root.readonly = false" /bin/sh -c "echo x > /$d/new; cat /$d/secret; cat $work/outside/secret"
	EXTRA_FLAGS= run "dotdot-$d" . /bin/sh -c "cat $up$work/outside/secret /proc/1/root$work/outside/secret /proc/self/root/..$work/outside/secret"
done
run mount-file-target "$(mnt /dir/made | sed "s#$work/vol#$work/rootfs/etc/hostname#")" /bin/cat /dir/made
run dotdot-target "$(mnt "/dir/$up$work/outside/dot")" /bin/true
ln -sf "$work/outside/passwd" "$work/rootfs/etc/passwd"
run passwd-absolute 'del(.process.env[] | select(startswith("HOME")))' /bin/sh -c 'echo $HOME; cat /etc/passwd'
ln -sf "$up$work/outside/passwd" "$work/rootfs/etc/passwd"
run passwd-relative 'del(.process.env[] | select(startswith("HOME")))' /bin/sh -c 'echo $HOME; cat /etc/passwd'
rm "$work/rootfs/etc/passwd"
mkfifo "$work/rootfs/etc/passwd" # nobody may wait for it
T=20 run passwd-fifo 'del(.process.env[] | select(startswith("HOME")))' /bin/sh -c 'echo here'
if [ "$out" = here ]; then ok host/passwd-fifo; else not_ok host/passwd-fifo "status $st: $out"; fi

# ---- names of containers
make_bundle "$work/b" "$work/rootfs" /bin/true
for n in ../x a/b .. . '' "$(printf 'x%.0s' $(seq 2000))" $'a\nb'; do
	if rs run --bundle "$work/b" -- "$n" > /dev/null 2>&1 < /dev/null || rs state -- "$n" > /dev/null 2>&1; then
		not_ok host/name "\"${n:0:20}\" is accepted"
		rs delete --force -- "$n" > /dev/null 2>&1
	fi
done
[ "$(find "$work" -maxdepth 1 -name x | wc -l)" -eq 0 ] && ok host/names || not_ok host/names "a directory beside the root"

# ---- whose files
umask 0
make_bundle "$work/b" "$work/rootfs" /bin/sleep 600
rs --log "$work/log.json" --debug-log="$work/logs/" run --detach --pid-file "$work/pid" --bundle "$work/b" "$id" > "$work/out" 2>&1 < /dev/null ||
	not_ok host/umask "$(tail -1 "$work/out")"
bad=$(find "$work/state" "$work/logs" "$work/pid" "$work/log.json" \( -type f -perm /022 -o -type d -perm /077 -o -type s -perm /077 \) -printf '%P %m; ' 2> /dev/null)
if [ -z "$bad" ]; then ok host/umask/modes; else not_ok host/umask/modes "$bad"; fi
sentry=$(jq .sentry.pid "$work/state/$id/state.json")
# kernel stacks have a page below them that nobody can touch
if awk '$2 == "---p" {n++} END {exit !(n >= 4)}' "/proc/$sentry/maps"; then ok host/guard-pages; else not_ok host/guard-pages "none in the Sentry"; fi
bad=$(for p in "$sentry" "$(jq .gofer.pid "$work/state/$id/state.json")" "$(jq .zygote.pid "$work/state/$id/state.json")"; do
	awk -v p="$p" '$2 ~ /w/ && $2 ~ /x/ {print p ": " $0}' "/proc/$p/maps"; done)
if [ -z "$bad" ]; then ok host/no-rwx; else not_ok host/no-rwx "$bad"; fi

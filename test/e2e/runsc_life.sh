#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What surrounds a container's program: hooks (compared with runc's), passed descriptors, deletes from elsewhere, the version.
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip runsc_life "needs root"; exit 0; }
need_packages jq busybox-static runc || { skip runsc_life "packages"; exit 0; }
work=$(mktemp -d /tmp/runsc_life.XXXXXX)
rt() { timeout -k 2 30 "$RUNSC" --root "$work/state" "$@"; }
cleanup() {
	for id in d h f s; do rt delete --force $id > /dev/null 2>&1; done
	rm -rf "$work"
}
trap cleanup EXIT
make_busybox_rootfs "$work/rootfs"
check() { local name=$1; shift; if "$@" > "$work/log" 2>&1; then ok "runsc_life/$name"; else not_ok "runsc_life/$name" "$(tail -2 "$work/log" | tr '\n' ' ')"; fi; }
bundle() { make_bundle "$work/$1" "$work/rootfs" "${@:2}"; }
wait_running() { for _ in $(seq 100); do [ "$(rt state "$1" 2> /dev/null | jq -r .status)" = running ] && return; sleep 0.1; done; false; }

# a foreground run whose container is deleted by somebody else: both end well (it once took the delete's time limit)
bundle d /bin/sleep 100
for i in 1 2 3; do
	rt run --bundle "$work/d" d < /dev/null > "$work/o" 2>&1 & run=$!
	wait_running d
	start=$(date +%s)
	rt delete --force d > "$work/e" 2>&1; st=$?
	check "delete_force_while_run_lives_$i" test $st -eq 0 -a $(($(date +%s) - start)) -lt 8
	wait $run; check "its_run_says_137_$i" test $? -eq 137
	check "nothing_left_$i" test ! -e "$work/state/d" -a ! -s "$work/o"
done

# hooks: order, place, input; the same bundle with runc says what is usual
cat > "$work/hook" <<'EOF'
#!/bin/sh
state=$(cat)
{ echo "$1 cwd=$(pwd) X=$X path=${PATH:+set} state=$(echo "$state" | sed 's/.*"status":"\([a-z]*\)".*/\1/')"; } >> "$2"
EOF
chmod +x "$work/hook"
cp "$work/hook" "$work/rootfs/hook"
hooks='{ prestart: [h("prestart")], createRuntime: [h("createRuntime") + {env: ["X=1", "PATH=/bin:/usr/bin"]}], createContainer: [h("createContainer")],
	startContainer: [{path: "/hook", args: ["hook", "startContainer", "/inside"], env: ["X=2", "PATH=/bin"]}], poststart: [h("poststart")], poststop: [h("poststop")] }'
hooked() { # hooked OUT: the bundle h, whose hooks write to OUT
	EXTRA_JQ=". + {hooks: (\"$1\" as \$out | def h(\$k): {path: \"$work/hook\", args: [\"hook\", \$k, \$out]}; $hooks)}" bundle h /bin/sh -c 'cat /inside; sleep 2'
}
mkdir -p "$work/out"
hooked "$work/out/ours"
inside=$(rt --overlay2=none run --bundle "$work/h" h 2>&1 < /dev/null)
rm -f "$work/rootfs/inside"
hooked "$work/out/runc"
usual=$(timeout 30 runc --root "$work/runc" run --bundle "$work/h" hk 2>&1 < /dev/null)
check hook_start_container_inside test "$inside" = "startContainer cwd=/ X=2 path=set state=created"
check hook_start_container_as_runc test "$inside" = "$usual"
# runc 1.1 calls a running container "created" in poststart; the specification says running
sed 's/^\(poststart .*\)state=created/\1state=running/' "$work/out/runc" > "$work/out/usual"
check hooks_order test "$(cut -d' ' -f1 "$work/out/ours" | tr '\n' ' ')" = "prestart createRuntime createContainer poststart poststop "
check hooks_as_runc diff "$work/out/ours" "$work/out/usual"

fails() { # fails KIND HOOK_JSON TEXT: run fails, says TEXT, poststop runs when the container existed, nothing is left
	local kind=$1 hook=$2 text=$3
	rm -f "$work/stopped" "$work/rootfs/ran"
	EXTRA_JQ=". + {hooks: {$kind: [$hook], poststop: [{path: \"/usr/bin/touch\", args: [\"touch\", \"$work/stopped\"]}]}}" bundle f /bin/touch /ran
	rt --overlay2=none run --bundle "$work/f" f < /dev/null > "$work/o" 2>&1; st=$?
	check "hook_${kind}_fails_run" test $st -ne 0
	check "hook_${kind}_text" grep -q "$text" "$work/o"
	check "hook_${kind}_nothing_left" test ! -e "$work/state/f"
}
sad='args: ["sh", "-c", "echo sad >\u00262; exit 3"]'
fails createRuntime "{path: \"/bin/sh\", $sad}" 'createRuntime.*exit status 3: sad'
fails createContainer "{path: \"/bin/sh\", $sad}" 'createContainer.*exit status 3: sad'
fails startContainer "{path: \"/bin/sh\", $sad}" 'startContainer.*exit status 3: sad'
check hook_startContainer_stops_program test ! -e "$work/rootfs/ran"
check hook_startContainer_poststop test -e "$work/stopped"
fails startContainer '{path: "/no/such"}' 'startContainer.*no such file'
fails startContainer '{path: "/bin/sleep", args: ["sleep", "1000"], timeout: 1}' 'startContainer.*did not end within'
fails poststart "{path: \"/bin/sh\", $sad}" 'poststart.*exit status 3: sad'
check hook_poststart_poststop test -e "$work/stopped"

# descriptors: --preserve-fds keeps numbers, --pass-fd chooses them, LISTEN_FDS is told
bundle f /bin/sh -c 'cat <&3; cat <&4; ls /proc/self/fd | tr "\n" " "'
echo three > "$work/3"; echo four > "$work/4"
check preserve_fds test "$(rt run --preserve-fds 2 --bundle "$work/f" f < /dev/null 3< "$work/3" 4< "$work/4" | tr '\n' ' ')" = "three four 0 1 2 3 4 5 "
bundle f /bin/sh -c 'cat <&9; echo out >&7; ls /proc/self/fd | tr "\n" " "'
check pass_fd test "$(rt run --pass-fd 3:9 --pass-fd 4:7 --bundle "$work/f" f < /dev/null 3< "$work/3" 4> "$work/7" | tr '\n' ' ')" = "three 0 1 2 3 7 9 "
check pass_fd_out test "$(cat "$work/7")" = out
check pass_fd_bad bash -c "! '$RUNSC' --root '$work/state' run --pass-fd 77:9 --bundle '$work/f' f"
bundle f /bin/sh -c 'echo $LISTEN_FDS $LISTEN_PID; cat <&3'
check listen_fds test "$(LISTEN_FDS=1 rt run --bundle "$work/f" f < /dev/null 3< "$work/3" | tr '\n' ' ')" = "1 1 three "
bundle s /bin/sleep 100
rt run --detach --bundle "$work/s" s < /dev/null > /dev/null 2>&1
check exec_pass_fd test "$(rt exec --pass-fd 3:5 s sh -c 'cat <&5' 3< "$work/3")" = three
check exec_preserve_fds test "$(rt exec --preserve-fds 1 s sh -c 'cat <&3' 3< "$work/3")" = three
# a process's priority is what the configuration says
EXTRA_JQ='.process.scheduler = {policy: "SCHED_BATCH", nice: 5}' bundle f /bin/cut -d" " -f19,41 /proc/self/stat
check scheduler test "$(rt run --bundle "$work/f" f < /dev/null)" = "5 3"
rt delete --force s

check version_line bash -c "'$RUNSC' --version | head -1 | grep -qE '^runsc version [^ ]+$'"
check version_spec bash -c "'$RUNSC' --version | grep -qE '^spec: [0-9]+\.[0-9]+'"

# install and uninstall change one entry of Docker's configuration
echo '{"data-root": "/x", "runtimes": {"other": {"path": "/bin/other"}}}' > "$work/daemon.json"
check install "$RUNSC" install --config_file="$work/daemon.json" --runtime=mine -- --debug --network=none
check install_entry test "$(jq -c .runtimes.mine "$work/daemon.json")" = "{\"path\":\"$(readlink -f "$RUNSC")\",\"runtimeArgs\":[\"--debug\",\"--network=none\"]}"
check install_keeps_rest jq -e '."data-root" == "/x" and .runtimes.other.path == "/bin/other"' "$work/daemon.json"
check install_backup jq -e '.runtimes | has("mine") | not' "$work/daemon.json~"
check install_keep bash -c "! '$RUNSC' install --config_file='$work/daemon.json' --runtime=mine --keep"
check uninstall "$RUNSC" uninstall --config_file="$work/daemon.json" --runtime=mine
check uninstall_entry jq -e '.runtimes | has("mine") | not' "$work/daemon.json"
check install_new_file "$RUNSC" install --config_file="$work/new.json"
check install_new_entry jq -e '.runtimes.runsc.path' "$work/new.json"
echo nonsense > "$work/daemon.json"
check install_bad_file bash -c "! '$RUNSC' install --config_file='$work/daemon.json'"

# --oci-seccomp: the profile runs inside, on the container's calls and those of execs
profile='.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"], syscalls: [
	{names: ["mkdir", "mkdirat", "no_such_call"], action: "SCMP_ACT_ERRNO", errnoRet: 95},
	{names: ["kill"], action: "SCMP_ACT_ERRNO", args: [{index: 1, value: 10, op: "SCMP_CMP_EQ"}]},
	{names: ["chroot"], action: "SCMP_ACT_KILL_PROCESS"}]}'
try='mkdir /tmp/d 2>&1 | sed "s/.*: //"; kill -USR1 $$ 2>&1 | sed "s/.*: //"; kill -0 $$ && echo zero; chroot / true; echo $?; grep Seccomp: /proc/self/status | tr -d "\t"'
EXTRA_JQ=$profile bundle s /bin/sh -c "trap : USR1; $try"
said="Operation not supported|Operation not permitted|zero|159|Seccomp:2|"
check seccomp_run test "$(rt --oci-seccomp run --bundle "$work/s" s 2> /dev/null < /dev/null | tr '\n' '|')" = "$said"
check seccomp_as_runc test "$(timeout -k 2 30 runc --root "$work/runc" run --bundle "$work/s" hs 2> /dev/null < /dev/null | tr '\n' '|')" = "$said"
check seccomp_off_by_default bash -c "'$RUNSC' --root '$work/state' run --bundle '$work/s' s 2> /dev/null < /dev/null | grep -qx Seccomp:0"
EXTRA_JQ=$profile bundle s /bin/sleep 100
rt --oci-seccomp run --detach --bundle "$work/s" s < /dev/null > /dev/null 2>&1
check seccomp_exec test "$(rt --oci-seccomp exec s sh -c 'mkdir /tmp/d 2>&1 | sed "s/.*: //"')" = "Operation not supported"
rt delete --force s
EXTRA_JQ='.linux.seccomp = {defaultAction: "SCMP_ACT_ERRNO", syscalls: [{names: ["read", "write", "close", "exit_group", "execve", "brk", "arch_prctl",
	"mmap", "mprotect", "set_tid_address", "set_robust_list", "prlimit64", "readlink", "getrandom", "prctl", "getuid", "newfstatat", "fstat", "ioctl", "dup2",
	"rt_sigaction", "getpid", "getppid", "uname", "getcwd", "munmap", "openat", "rseq"], action: "SCMP_ACT_ALLOW"}]}' bundle s /bin/echo strict
check seccomp_default_errno test "$(rt --oci-seccomp run --bundle "$work/s" s < /dev/null)" = strict
EXTRA_JQ='.linux.seccomp = {defaultAction: "SCMP_ACT_NOTIFY"}' bundle s /bin/true
check seccomp_notify_refused bash -c "'$RUNSC' --root '$work/state' --oci-seccomp run --bundle '$work/s' s 2>&1 < /dev/null | grep -q 'SCMP_ACT_NOTIFY.*not supported'"

# a volume shows what the host does to it meanwhile: new, changed, replaced, removed, renamed, a whole tree
mkdir -p "$work/vol/dir"; echo one > "$work/vol/f"
EXTRA_JQ='.mounts += [{destination: "/vol", type: "bind", source: "'"$work/vol"'", options: ["rbind","rw"]}]' bundle s /bin/sleep 100
rt run --detach --bundle "$work/s" s < /dev/null > /dev/null 2>&1
in_s() { rt exec s "$@" < /dev/null; }
check volume_first test "$(in_s cat /vol/f)" = one
echo longer text > "$work/vol/f"
check volume_changed test "$(in_s cat /vol/f)" = "longer text"
echo other > "$work/vol/g"; mv "$work/vol/g" "$work/vol/f"
check volume_replaced test "$(in_s cat /vol/f)" = other
rm "$work/vol/f"
check volume_removed in_s test ! -e /vol/f
mkdir -p "$work/vol/new/deep"; echo x > "$work/vol/new/deep/x"
check volume_new_tree test "$(in_s find /vol -type f)" = /vol/new/deep/x
mv "$work/vol/new" "$work/vol/moved"
check volume_moved_tree test "$(in_s cat /vol/moved/deep/x)" = x
check volume_moved_away in_s test ! -e /vol/new/deep
chmod 600 "$work/vol/moved/deep/x"; ln -s moved/deep/x "$work/vol/link"
check volume_mode test "$(in_s stat -c %a /vol/moved/deep/x)" = 600
check volume_link test "$(in_s readlink /vol/link)" = moved/deep/x
in_s sh -c 'echo inside > /vol/back; mv /vol/back /vol/dir/back; rm -r /vol/moved'
check volume_back test "$(cat "$work/vol/dir/back")" = inside -a ! -e "$work/vol/moved"
rt delete --force s

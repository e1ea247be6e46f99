#!/usr/bin/env bash
# The shim against a real containerd and ctr. Usage: shim_test.sh BINDIR (with containerd-shim-runsc-v1).
# Everything here holds for the fake lifecycle library (build.sh) and for the real one alike.
. "$(dirname "$0")/lib.sh"
setup "$1"
echo "== $LABEL: $("$CONTAINERD" --version)"

check "output" "$(run --rm "$IMG" c1 echo hello 2>&1)" hello
run --rm "$IMG" c2 sh -c 'exit 7' >/dev/null 2>&1; check "exit status" $? 7
wait_for '[ "$(events_of c2)" = "/tasks/create /tasks/start /tasks/exit /tasks/delete" ]'
check "order of events" "$(events_of c2)" "/tasks/create /tasks/start /tasks/exit /tasks/delete"
check "stderr" "$(run --rm "$IMG" c3 sh -c 'echo err >&2' 2>&1 >/dev/null)" err
check "missing program" "$(run --rm "$IMG" c4 /nope 2>&1 | grep -c 'executable file not found\|no such file')" 1
check "no shim is left" "$(wait_for '[ -z "$(shims)" ]'; shims)" ""

want=$(yes 0123456789abcdef | head -c 1000000 | md5sum)
check "1 MB of output" "$(run --rm "$IMG" c5 sh -c 'yes 0123456789abcdef | head -c 1000000' | md5sum)" "$want"

run -d "$IMG" d1 sleep 1000
check "running" "$(ctr task ls | awk '$1 == "d1" { print $3 }')" RUNNING
pid=$(ctr task ls | awk '$1 == "d1" { print $2 }')
check "pid is of the host and alive" "$(kill -0 "$pid" && echo yes)" yes
check "exec" "$(ctr task exec --exec-id e1 d1 echo in 2>&1)" in
ctr task exec --exec-id e2 d1 sh -c 'exit 9'; check "exec status" $? 9
check "exec stdin" "$(echo text | ctr task exec --exec-id e3 d1 cat)" text
check "exec with missing program" "$(ctr task exec --exec-id e4 d1 /nope 2>&1 | grep -c 'not found\|no such file')" 1
# (ctr drops what it has not begun to read when the process is deleted: each stays a moment)
check "many execs at once" "$(for i in $(seq 20); do ctr task exec --exec-id m$i d1 sh -c "echo $i; sleep 0.15" & done | sort -n | tr '\n' ' ')" \
	"$(seq 20 | tr '\n' ' ')"
# timeout(1) stands outside: a shell that does not exec its last command would have it in the terminal's background
check "exec with terminal" "$(timeout 20 script -qec "$CTR -a $T/containerd.sock -n $NS task exec -t --exec-id t1 d1 sh -c '[ -t 0 ] && echo it is; sleep 0.2'" /dev/null </dev/null | grep -o 'it is')" "it is"
check "pids are those of the application" "$(ps -o args= -p "$(ctr task ps d1 | awk 'NR > 1 { print $1 }' | paste -sd,)")" "sleep 1000"
ctr task metrics d1 >"$T/metrics" 2>&1; check "metrics" "$?" 0
ctr task pause d1; check "paused" "$(ctr task ls | awk '$1 == "d1" { print $3 }')" PAUSED
ctr task resume d1; check "resumed" "$(ctr task ls | awk '$1 == "d1" { print $3 }')" RUNNING
check "delete of a running task is refused" "$(ctr task rm d1 2>&1 | grep -o 'must be stopped' | head -1)" "must be stopped"

# containerd restarts in the middle of output
run -d --log-uri "file://$T/d2.log" "$IMG" d2 sh -c 'for i in $(seq 60); do echo line $i; sleep 0.05; done'
stop_containerd -KILL
sleep 0.5
start_containerd
start_events
check "found again after a restart" "$(ctr task ls | awk '$1 == "d1" { print $2, $3 }')" "$pid RUNNING"
check "exec after a restart" "$(ctr task exec --exec-id r1 d1 echo again)" again
wait_for '[ "$(ctr task ls | awk "\$1 == \"d2\" { print \$3 }")" = STOPPED ]' 200
check "output over the restart" "$(wc -l <"$T/d2.log")" 60
check "logger file is complete" "$(tail -1 "$T/d2.log")" "line 60"
ctr task rm d2 >/dev/null 2>&1; ctr c rm d2

ctr task kill -s KILL d1
wait_for '[ "$(ctr task ls | awk "\$1 == \"d1\" { print \$3 }")" = STOPPED ]'
check "killed" "$(ctr task ls | awk '$1 == "d1" { print $3 }')" STOPPED
check "kill of the dead is not found" "$(ctr task kill -s KILL d1 2>&1 | grep -c 'not found\|no such file')" 1
ctr task rm d1 >/dev/null 2>&1; ctr c rm d1
check "no shim is left" "$(wait_for '[ -z "$(shims)" ]'; shims)" ""
check "no mount is left" "$(grep -c "$T/state" /proc/mounts)" 0

# the shim is killed
run -d "$IMG" k1 sleep 1000
pid=$(ctr task ls | awk '$1 == "k1" { print $2 }')
kill -9 $(shims)
wait_for '! kill -0 $pid 2>/dev/null' 200
check "a killed shim takes its container along" "$(kill -0 "$pid" 2>/dev/null || echo gone)" gone
wait_for '[ -n "$(events_of k1 | grep exit)" ]'
check "and is reported once" "$(events_of k1 | tr ' ' '\n' | grep -c exit)" 1
ctr task rm k1 >/dev/null 2>&1; ctr c rm k1
check "no mount is left" "$(wait_for '[ "$(grep -c "$T/state" /proc/mounts)" = 0 ]'; grep -c "$T/state" /proc/mounts)" 0

# each process that the shim has started is killed in turn: one clear exit, a clean delete
wait_for '[ -z "$(shims)" ]'
n=$(run -d "$IMG" x0 sleep 1000; pgrep -P "$(shims)" | wc -l; ctr task kill -s KILL x0 >/dev/null; wait_for '[ "$(ctr task ls | awk "\$1 == \"x0\" { print \$3 }")" = STOPPED ]'; ctr task rm x0 >/dev/null 2>&1; ctr c rm x0)
for i in $(seq "$n"); do
	wait_for '[ -z "$(shims)" ]'
	run -d "$IMG" x$i sleep 1000
	victim=$(pgrep -P "$(shims)" | sed -n "${i}p")
	name=$(cut -c1-15 "/proc/$victim/comm" 2>/dev/null)
	kill -9 "$victim"
	wait_for '[ "$(ctr task ls | awk "\$1 == \"x'$i'\" { print \$3 }")" = STOPPED ]'
	check "killed $name: stopped" "$(ctr task ls | awk '$1 == "x'$i'" { print $3 }')" STOPPED
	ctr task rm x$i >/dev/null 2>&1; ctr c rm x$i
	check "killed $name: events" "$(wait_for '[ "$(events_of x$i | wc -w)" = 4 ]'; events_of x$i)" "/tasks/create /tasks/start /tasks/exit /tasks/delete"
	check "killed $name: nothing is left" "$(wait_for '[ -z "$(shims)" ]'; shims; pgrep -f "boot --id=x$i ")" ""
done

# a pod: two containers, one shim
run -d --annotation io.kubernetes.cri.container-type=sandbox --annotation io.kubernetes.cri.sandbox-id=pod "$IMG" pod sleep 1000
run -d --annotation io.kubernetes.cri.container-type=container --annotation io.kubernetes.cri.sandbox-id=pod "$IMG" pod-a sleep 1000
check "one shim for a pod" "$(shims | wc -l)" 1
check "exec in the second container" "$(ctr task exec --exec-id e1 pod-a echo second)" second
for c in pod-a pod; do
	ctr task kill -s KILL $c
	wait_for '[ "$(ctr task ls | awk "\$1 == \"'$c'\" { print \$3 }")" = STOPPED ]'
	ctr task rm $c >/dev/null 2>&1; ctr c rm $c
done
check "the pod's shim is gone" "$(wait_for '[ -z "$(shims)" ]'; shims)" ""

# 20 containers at once
for i in $(seq 20); do run --rm "$IMG" p$i sh -c "echo $i; sleep 0.15" >"$T/p$i" 2>&1 & pids[$i]=$!; done
for i in $(seq 20); do wait "${pids[$i]}"; done
check "20 at once" "$(cat "$T"/p? "$T"/p?? | sort -n | tr '\n' ' ')" "$(seq 20 | tr '\n' ' ')"
check "no shim is left" "$(wait_for '[ -z "$(shims)" ]'; shims)" ""
check "no report of a sanitizer" "$(grep -E 'Sanitizer|runtime error' "$T/containerd.log" | head -3)" ""
finish

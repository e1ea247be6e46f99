#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The shim and the Sentry when there is much of something, and when processes die at the wrong moment: output, containers, pods,
# kill -9 in each state, a container of a pod that runs out of memory. Usage: scale_test.sh BINDIR. MB: size of the output.
. "$(dirname "$0")/lib.sh"
setup "$1"
echo "== $LABEL: $("$CONTAINERD" --version)"
state() { ctr task ls | awk -v c="$1" '$1 == c { print $3 }'; }
gone() { ctr task rm -f "$@" > /dev/null 2>&1; for c; do ctr c rm "$c" > /dev/null 2>&1; done; }

mb=${MB:-1000}
check "$mb MB of output" "$(CTR_TIMEOUT=300 run --rm "$IMG" big sh -c "dd if=/dev/zero bs=1000000 count=$mb 2> /dev/null" | wc -c)" "$((mb * 1000000))"
check "$mb MB through a terminal's other end: a file" "$(CTR_TIMEOUT=300 run -d --log-uri "file://$T/big.log" "$IMG" bigf sh -c "yes 0123456789abcde | head -c $((mb * 100000))"
	wait_for '[ "$(state bigf)" = STOPPED ]' 2000; gone bigf; md5sum < "$T/big.log")" "$(yes 0123456789abcde | head -c $((mb * 100000)) | md5sum)"
rm -f "$T/big.log"

# containerd is killed and comes back twice while a container writes as fast as it can
run -d --log-uri "file://$T/w.log" "$IMG" w sh -c 'i=0; while [ $i -lt 200000 ]; do echo "line $i"; i=$((i+1)); done'
for _ in 1 2; do stop_containerd -KILL; sleep 0.3; start_containerd; done
start_events
wait_for '[ "$(state w)" = STOPPED ]' 2000
check "lines written over two restarts" "$(wc -l < "$T/w.log") $(tail -n 1 "$T/w.log")" "200000 line 199999"
check "in order" "$(awk '$2 != NR - 1' "$T/w.log" | head -n 1)" ""
gone w

for i in $(seq 50); do run --rm "$IMG" p$i sh -c "echo $i" > "$T/p$i" 2>&1 & pids[i]=$!; done
for p in "${pids[@]}"; do wait "$p"; done
check "50 containers at once" "$(cat "$T"/p[0-9] "$T"/p[0-9][0-9] | sort -n | tr '\n' ' ')" "$(seq 50 | tr '\n' ' ')"
check "no shim is left" "$(wait_for '[ -z "$(shims)" ]' 400; shims)" ""

# each process of ours, in each state of the container
for st in running paused; do
	for victim in shim gofer zygote sandbox; do
		c=k-$st-$victim
		ctr container create "${RUN[@]}" "$T/shim.toml" "$IMG" $c sleep 1000
		ctr task start -d $c
		[ $st = paused ] && ctr task pause $c
		sh_pid=$(shims | head -n 1)
		case $victim in
			shim) p=$sh_pid ;;
			gofer) p=$(ctr task ls | awk -v c=$c '$1 == c { print $2 }') ;;
			sandbox) p=$(pgrep -P "$sh_pid" -f "boot --id=$c" | head -n 1) ;;
			zygote) p=$(for q in $(pgrep -P "$sh_pid"); do [ "$(readlink /proc/$q/exe)" = "/memfd:zygote (deleted)" ] && echo $q; done | head -n 1) ;;
		esac
		[[ $p =~ ^[0-9]+$ ]] && kill -9 "$p"
		wait_for '[ "$(state $c)" = STOPPED ] || [ -z "$(state $c)" ]' 300
		ctr task kill -s KILL $c > /dev/null 2>&1
		wait_for '[ "$(state $c)" = STOPPED ] || [ -z "$(state $c)" ]' 300
		gone $c
		check "$victim killed while $st: one exit" "$(wait_for '[ -n "$(events_of $c | grep exit)" ]'; events_of $c | tr ' ' '\n' | grep -c exit)" 1
		check "$victim killed while $st: nothing is left" "$(wait_for '[ -z "$(shims)" ]' 300; shims; pgrep -f "boot --id=$c"; grep "$T/state.*$c" /proc/mounts)" ""
	done
done

# out of memory: one container of a pod, reported for that one; the pod lives on
pod=(--annotation io.kubernetes.cri.sandbox-id=pod)
run -d --annotation io.kubernetes.cri.container-type=sandbox "${pod[@]}" "$IMG" pod sleep 1000
run -d --annotation io.kubernetes.cri.container-type=container "${pod[@]}" "$IMG" good sleep 1000
run -d --annotation io.kubernetes.cri.container-type=container "${pod[@]}" --memory-limit 50000000 "$IMG" hog sh -c 'sleep 1; dd if=/dev/zero of=/dev/null bs=200M count=1'
wait_for '[ "$(state hog)" = STOPPED ]' 600
# the kernel may have to kill more than one process, and tells of each
check "out of memory: reported before the exit" "$(wait_for '[ -n "$(events_of hog | grep exit)" ]'; events_of hog | sed "s#\(/tasks/oom \)*/tasks/oom#/tasks/oom#")" "/tasks/create /tasks/start /tasks/oom /tasks/exit"
check "out of memory: for nobody else" "$(events_of pod; events_of good)" "/tasks/create /tasks/start/tasks/create /tasks/start"
check "out of memory: the others live" "$(ctr task exec --exec-id e1 good echo alive)" alive
gone hog good pod
check "no shim is left" "$(wait_for '[ -z "$(shims)" ]' 300; shims)" ""

n=${PODS:-100}
for i in $(seq "$n"); do run -d --annotation io.kubernetes.cri.container-type=sandbox --annotation io.kubernetes.cri.sandbox-id=n$i "$IMG" n$i sleep 100000; done
check "$n pods alive" "$(ctr task ls | grep -c "^n[0-9].*RUNNING") $(shims | wc -l)" "$n $n"
check "one of them answers" "$(ctr task exec --exec-id e1 n$((n / 2)) echo here)" here
for i in $(seq "$n"); do ctr task kill -s KILL n$i; done > /dev/null 2>&1
wait_for '[ "$(ctr task ls | grep -c "^n[0-9].*STOPPED")" = $n ]' 600
check "$n pods killed" "$(ctr task ls | grep -c "^n[0-9].*STOPPED")" "$n"
for i in $(seq "$n"); do gone n$i; done
check "no shim is left" "$(wait_for '[ -z "$(shims)" ]' 400; shims)" ""
check "no mount is left" "$(grep -c "$T/state" /proc/mounts)" 0
check "no report of a sanitizer" "$(grep -E 'Sanitizer|runtime error' "$T/containerd.log" | head -3)" ""
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real programs inside, each compared with the same program run natively: same output, same status.
# The root file system is an overlay over the host's own /, so whatever is installed here is there too; writes stay in the sandbox.
# Usage: programs.sh [NAME...]
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip programs "needs root"; exit 0; }
need_packages jq gcc make git python3 perl || { skip programs "packages"; exit 0; }
need_packages ruby php-cli musl-tools fio || true # a program that cannot be had is skipped by name below
work=$(mktemp -d /tmp/programs.XXXXXX)
mkdir -p "$work"/{up,wk,root,state}
# Where both sides see it: the container has a /tmp of its own, and this tree may lie below /tmp.
gen=/var/tmp/gen_src.$$.py
cp "$TOP/test/bench/gen_src.py" "$gen"
cleanup() { umount -l "$work/root" 2> /dev/null; rm -rf "$work" "$gen"; }
trap cleanup EXIT
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/up,workdir=$work/wk" "$work/root" || { skip programs "no overlayfs"; exit 0; }
mkdir -p "$work/root/proc" "$work/root/sys" "$work/root/dev" "$work/root/tmp"

# inside SECONDS SCRIPT: runs it in a container of its own, output on stdout; its status
inside() {
	local id=p$$-$RANDOM st
	make_bundle "$work/b" "$work/root" /bin/bash -c "export PATH=$PATH; cd /tmp; $2"
	timeout -k 5 "$1" "$RUNSC" --root "$work/state" run --bundle "$work/b" $id < /dev/null 2>&1
	st=$?
	[ $st -ge 124 ] && timeout 10 "$RUNSC" --root "$work/state" delete --force $id > /dev/null 2>&1
	return $st
}

# compare NAME SECONDS COMMAND-NEEDED SCRIPT
compare() {
	local name=$1 secs=$2 cmd=$3 script=$4 nst ist
	[ ${#only[@]} -gt 0 ] && [[ ! " ${only[*]} " == *" $name "* ]] && return
	command -v "$cmd" > /dev/null || { skip "programs/$name" "$cmd is not installed"; return; }
	mkdir -p "$work/native"
	(cd "$work/native" && timeout "$secs" bash -c "$script" > "$work/n.out" 2>&1 < /dev/null)
	nst=$?
	rm -rf "$work/native"
	local try first=
	for try in 1 2; do
		inside $((secs * 3)) "$script" > "$work/i.out"
		ist=$?
		if [ $nst -eq $ist ] && cmp -s "$work/n.out" "$work/i.out"; then
			ok "programs/$name$first"
			return
		fi
		first=" (second try; first: status $ist)"
	done
	not_ok "programs/$name" "native $nst, inside $ist: $(diff "$work/n.out" "$work/i.out" | head -4 | cut -c1-160 | tr '\n' ' ')"
}

only=("$@")
compare bash 20 bash 'set -m; trap "echo got USR1" USR1; kill -USR1 $$; (exit 3); echo $?; sleep 0.1 & wait $!; echo done; for i in {1..200}; do :; done; a=($(seq 5)); echo ${a[@]:1:3} $(printf %05d 42); diff <(echo x) <(echo x) && echo same; cat <<X
here
X'
compare coreutils 30 sort 'seq 1 50000 | sort -R --random-source=/etc/passwd | sort -n | md5sum; head -c 1000000 /etc/ld.so.cache | wc -c; mkdir -p d/e; touch d/e/{a,b,c}; ls -R d; cp -a d d2; mv d2 d3; find d3 -type f | sort; ln -s a d/l; readlink d/l; stat -c "%a %s %h" /etc/passwd; date -d @0 -u; truncate -s 1M big; dd if=big of=big2 bs=4k status=none; cmp big big2 && echo same; rm -r d d3; ls'
compare tar 60 tar 'tar cf a.tar -C /usr/share/doc/bash . && mkdir x && tar xf a.tar -C x && diff -r x /usr/share/doc/bash && echo identical; gzip -9 < a.tar | gunzip | cmp - a.tar && echo ok'
compare find 60 find 'find /usr/lib/python3 -name "*.py" | sort | xargs cat | md5sum; find /etc -maxdepth 1 -newer /etc/passwd -type l | wc -l > /dev/null; echo ok'
compare rsync 60 rsync 'mkdir s; cp -r /usr/share/perl5 s/ 2>/dev/null; rsync -a s/ d/ && diff -r s d && echo same'
compare python 60 python3 'python3 - <<X
import threading, multiprocessing, asyncio, subprocess, os, tempfile, json, hashlib
r=[]
ts=[threading.Thread(target=lambda i=i: r.append(i*i)) for i in range(50)]
[t.start() for t in ts]; [t.join() for t in ts]; print(sum(r))
with multiprocessing.Pool(4) as p: print(sum(p.map(abs, range(-200,0))))
async def m():
    q=await asyncio.create_subprocess_exec("echo","hi",stdout=-1); print((await q.communicate())[0]); await asyncio.sleep(.05); return sum(await asyncio.gather(*[asyncio.sleep(0.01,i) for i in range(100)]))
print(asyncio.run(m()))
print(subprocess.run(["sh","-c","echo err >&2; exit 4"],stderr=-1).returncode)
d=tempfile.mkdtemp(); open(d+"/f","w").write("x"*100000); print(os.stat(d+"/f").st_size, hashlib.sha256(open(d+"/f","rb").read()).hexdigest())
X'
compare perl 30 perl 'perl -e "use threads; " 2>/dev/null; perl -MPOSIX -e "my \$p=fork; if(!\$p){exit 7} waitpid \$p,0; print \$?>>8, qq{\n}; print join(q{,}, map {\$_*2} 1..10), qq{\n}; open F,q{>f}; print F q{x} x 5000; close F; print -s q{f}, qq{\n};"'
compare ruby 30 ruby 'ruby -e "puts (1..10).map{|x| Thread.new{x*x}}.map(&:value).sum; puts \`echo hi\`; puts Process.wait2(fork{exit 3})[1].exitstatus"'
compare php 30 php 'php -r "echo array_sum(range(1,100)), PHP_EOL; file_put_contents(\"f\",str_repeat(\"x\",1000)); echo filesize(\"f\"), PHP_EOL;"'
compare node 60 node 'node -e "const fs=require(\"fs\"),cp=require(\"child_process\"),{Worker}=require(\"worker_threads\");fs.writeFileSync(\"f\",\"x\".repeat(1e5));console.log(fs.statSync(\"f\").size,cp.execSync(\"echo hi\").toString().trim());new Worker(\"require(\\\"worker_threads\\\").parentPort.postMessage(6*7)\",{eval:true}).on(\"message\",m=>console.log(m));setTimeout(()=>console.log(\"timer\"),20)"'
compare jvm 120 javac 'cat > A.java <<X
import java.util.*; import java.util.concurrent.*; import java.util.stream.*;
public class A { public static void main(String[] a) throws Exception { ExecutorService e=Executors.newFixedThreadPool(8); List<Future<Integer>> l=new ArrayList<>(); for(int i=0;i<100;i++){int k=i; l.add(e.submit(()->k*k));} int s=0; for(var f:l) s+=f.get(); System.out.println(s); e.shutdown(); System.out.println(IntStream.range(0,1000000).parallel().sum()); System.gc(); Process p=new ProcessBuilder("echo","child").start(); System.out.println(new String(p.getInputStream().readAllBytes()).trim()+p.waitFor()); } }
X
javac A.java && java A'
compare git 60 git 'export HOME=/tmp GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE="2020-01-01T00:00:00Z" GIT_COMMITTER_DATE="2020-01-01T00:00:00Z"; git -c init.defaultBranch=m init -q r && cd r && git config user.email a@b && git config user.name n; for i in $(seq 20); do echo $i > f$i; git add .; git commit -qm c$i; done; git rev-parse HEAD; git clone -q . ../c && cd ../c && git gc -q && git fsck 2>&1 | tail -1; git log --oneline | wc -l'
compare gcc 180 gcc "python3 $gen . && make -s -j4 && ./prog && objdump -d prog | wc -l | awk '{print (\$1>1000)}'"
compare musl 60 musl-gcc 'printf "#include <stdio.h>\n#include <pthread.h>\nvoid*f(void*p){return p;}int main(){pthread_t t;pthread_create(&t,0,f,0);pthread_join(t,0);puts(\"musl\");}" > m.c && musl-gcc -static -o m m.c && ./m'
compare sqlite 120 python3 'python3 - <<X
import sqlite3, multiprocessing
def w(k):
    c=sqlite3.connect("t.db",timeout=60)
    for i in range(50):
        with c: c.execute("insert into t values(?,?)",(k,i))
c=sqlite3.connect("t.db"); c.execute("create table t(a,b)"); c.commit()
ps=[multiprocessing.Process(target=w,args=(k,)) for k in range(4)]; [p.start() for p in ps]; [p.join() for p in ps]
print(c.execute("select count(*),sum(b) from t").fetchone(), c.execute("pragma integrity_check").fetchone())
X'
compare redis 60 redis-server 'redis-server --port 0 --unixsocket /tmp/r$$.sock --save "" --daemonize yes --logfile /dev/null > /dev/null; for i in 1 2 3 4 5 6 7 8 9; do sleep 0.2; redis-cli -s /tmp/r$$.sock ping > /dev/null 2>&1 && break; done; redis-cli -s /tmp/r$$.sock set a 5; redis-cli -s /tmp/r$$.sock incr a; redis-benchmark -s /tmp/r$$.sock -n 2000 -q -t set,get 2>&1 | grep -c "requests per second"; redis-cli -s /tmp/r$$.sock shutdown nosave; echo done'
pg=$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | tail -1)
compare postgres 120 "${pg:-/none}/initdb" "d=\$(mktemp -d /tmp/pg.XXXXXX); chown postgres \$d; cd \$d; setpriv --reuid=postgres --regid=postgres --clear-groups bash -c '
$pg/initdb -D d -A trust > /dev/null 2>&1; echo initdb \$?
$pg/pg_ctl -w -D d -o \"-k \$PWD -h \\\"\\\"\" -l log start > /dev/null; echo start \$?
$pg/psql -h \$PWD -d postgres -Atc \"create table t as select generate_series(1,10000) a; select count(*), sum(a) from t\"
$pg/pgbench -h \$PWD -i -q postgres > /dev/null 2>&1; $pg/pgbench -h \$PWD -c 4 -j 2 -t 50 postgres 2>/dev/null | grep -o \"processed: 200/200\"
$pg/pg_ctl -w -D d stop > /dev/null; echo stop \$?'; rm -rf \$d"
compare gdb 60 gdb 'printf "#include <stdlib.h>\nint depth(int n){ if(n==0) abort(); return depth(n-1)+1; }\nint main(void){ return depth(3); }\n" > a.c && gcc -g -o a a.c && gdb -batch -ex "break depth" -ex run -ex bt -ex "delete 1" -ex "p n" -ex c -ex bt -ex "p \$_siginfo.si_signo" ./a 2>&1 | grep -E "^#.* (depth|main) |^\\\$|^Program received" | sed "s/0x[0-9a-f]* in //"'
compare core 60 gdb 'printf "int depth(int n){ return n ? depth(n-1)+1 : *(volatile int *)0; }\nint main(void){ return depth(3); }\n" > a.c && gcc -g -o a a.c; bash -c "ulimit -c unlimited; ./a; echo \$?" 2> /dev/null; gdb -batch -ex bt ./a core* 2>&1 | grep -E "^#.* (depth|main) |^Program terminated" | sed "s/0x[0-9a-f]* in //"'
compare strace 60 strace 'strace -f -e trace=read,wait4,execve,openat -o log sh -c "cat /etc/hostname > /dev/null; false"; echo $?; grep -c "hostname" log; grep -o "WEXITSTATUS(s) == 1" log | sort -u; grep -o "exited with 1" log | sort -u'
compare tmux 30 tmux 'tmux -L x$$ new-session -d "echo in tmux; sleep 3"; sleep 1; tmux -L x$$ capture-pane -p | head -1; tmux -L x$$ kill-server; echo done'
compare script 20 script 'script -qec "tty > /dev/null && echo on a terminal; stty size" /dev/null | tr -d "\r" | head -1'
compare fio 60 fio 'fio --name=t --filename=f --size=8m --rw=randrw --bs=4k --verify=crc32c --ioengine=psync --minimal > /dev/null 2>&1; echo $?'
compare dpkg 60 dpkg-deb 'mkdir -p p/DEBIAN p/opt; printf "Package: t\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: t\n" > p/DEBIAN/control; echo x > p/opt/f; dpkg-deb -b p t.deb > /dev/null; mkdir -p adm/{info,updates}; touch adm/status; dpkg --admindir=adm --instdir=$PWD/inst --log=/dev/null --force-not-root -i t.deb > /dev/null 2>&1; ls inst/opt'
# The limits of the configuration, as a program inside finds them; there is nothing to compare with.
limits_inside() {
	[ ${#only[@]} -gt 0 ] && [[ ! " ${only[*]} " == *" cgroup-limits "* ]] && return
	local out want="$1" script=$2
	out=$(EXTRA_JQ='.mounts += [{destination:"/sys/fs/cgroup",type:"cgroup",source:"cgroup",options:["nosuid","noexec","nodev","ro"]}] |
		.linux.resources={memory:{limit:268435456,swap:268435456},cpu:{quota:150000,period:100000,shares:512},pids:{limit:300}}' inside 60 "$script")
	if [ "$out" = "$want" ]; then ok programs/cgroup-limits; else not_ok programs/cgroup-limits "$out"; fi
}
limits_inside "268435456 0 150000 100000 20 300 1 0::/" 'cd /sys/fs/cgroup; echo $(cat memory.max memory.swap.max cpu.max cpu.weight pids.max) $(head -1 cgroup.procs) $(cat /proc/self/cgroup)'
compare threads-500 60 python3 'python3 -c "
import threading
b=threading.Barrier(501); ts=[threading.Thread(target=b.wait) for _ in range(500)]
[t.start() for t in ts]; b.wait(); [t.join() for t in ts]; print(len(ts))"'
compare processes-3000 120 bash 'for i in $(seq 3000); do /bin/true; done; echo done'
compare processes-200-at-once 60 bash 'for i in $(seq 200); do sleep 1 & done; wait; echo done'

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# File systems of Debian's packages that serve themselves through /dev/fuse, inside, each compared with the same natively.
# The root file system is an overlay over the host's own /, as in programs.sh.
# Usage: fuse.sh [NAME...]
set -uo pipefail
. "$(dirname "$0")/../lib.sh"
[ "$(id -u)" -eq 0 ] || { skip fuse "needs root"; exit 0; }
[ -c /dev/fuse ] || { skip fuse "the host has no /dev/fuse to compare with"; exit 0; }
need_packages jq gcc make git python3 fuse3 bindfs squashfuse squashfs-tools fuse-overlayfs sshfs openssh-sftp-server || { skip fuse "packages"; exit 0; }
work=$(mktemp -d /tmp/fusetest.XXXXXX)
mkdir -p "$work"/{up,wk,root,state}
gen=/var/tmp/fuse_gen_src.$$.py
cp "$TOP/test/bench/gen_src.py" "$gen"
# Natively all happens in a mount namespace of its own, with a device that everybody may open, as it is inside.
mknod -m 666 "$work/fuse" c 10 229
device="mount --bind $work/fuse /dev/fuse"
cleanup() {
	umount -l "$work/root" 2> /dev/null
	rm -rf "$work" "$gen"
}
trap cleanup EXIT
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/up,workdir=$work/wk" "$work/root" || { skip fuse "no overlayfs"; exit 0; }
mkdir -p "$work/root/proc" "$work/root/sys" "$work/root/dev" "$work/root/tmp"

# inside SECONDS SCRIPT: as in programs.sh, with the right to mount
inside() {
	local id=f$$-$RANDOM st
	EXTRA_JQ='.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])' \
		make_bundle "$work/b" "$work/root" /bin/bash -c "export PATH=$PATH; cd /tmp; $2"
	timeout -k 5 "$1" "$RUNSC" --root "$work/state" run --bundle "$work/b" $id < /dev/null 2>&1
	st=$?
	[ $st -ge 124 ] && timeout 10 "$RUNSC" --root "$work/state" delete --force $id > /dev/null 2>&1
	return $st
}

# compare NAME SECONDS SCRIPT
compare() {
	local name=$1 secs=$2 script=$3 nst ist
	[ ${#only[@]} -gt 0 ] && [[ ! " ${only[*]} " == *" $name "* ]] && return
	mkdir -p "$work/native"
	chmod 755 "$work" "$work/native"
	(cd "$work/native" && timeout "$secs" unshare -m bash -c "$device; $script" > "$work/n.out" 2>&1 < /dev/null)
	nst=$?
	rm -rf --one-file-system "$work/native"
	if [ $nst -ne 0 ]; then not_ok "fuse/$name" "natively: status $nst: $(tail -2 "$work/n.out" | tr '\n' ' ')"; return; fi
	local try first=
	for try in 1 2; do
		inside $((secs * 3)) "$script" > "$work/i.out"
		ist=$?
		if [ $ist -eq 0 ] && cmp -s "$work/n.out" "$work/i.out"; then
			ok "fuse/$name$first"
			return
		fi
		first=" (second try; first: status $ist)"
	done
	not_ok "fuse/$name" "inside $ist: $(diff "$work/n.out" "$work/i.out" | head -6 | cut -c1-160 | tr '\n' ' ')"
}

# What is done on each file system that can be written; $PWD is on it.
use='mkdir -p d/e; seq 1 50000 > n; md5sum n; cp n d/e/; mv d/e/n d/m; cmp n d/m && echo same; ln -s ../n d/l; readlink d/l; head -1 d/l
ln n hard && stat -c "%h %s" n; chmod 640 n; stat -c %a n; touch -d @1000 n; stat -c %Y n; truncate -s 1M t; dd if=/dev/zero of=t bs=4k seek=300 count=1 status=none
stat -c %s t; find . | LC_ALL=C sort; for i in $(seq 200); do echo $i > d/$i; done; ls d | wc -l; cat d/[0-9]* | md5sum; rm -r d t hard; ls; cd ..'

only=("$@")
compare bindfs 60 'mkdir s m; bindfs s m && cd m && stat -f -c %T . && '"$use"'; ls m s | sort | uniq -c; fusermount3 -u m; ls m; echo done'
compare bindfs-perms 60 'chmod 755 .; mkdir s m; echo x > s/f; chmod 600 s/f; bindfs -o allow_other --force-user=nobody --perms=u=rwD,g=rD,o= s m; stat -c "%U %a" m/f
setpriv --reuid=nobody --regid=nogroup --clear-groups cat m/f; setpriv --reuid=1234 --regid=1234 --clear-groups cat m/f; grep -o "fuse.*" /proc/self/mounts | grep " m\|bindfs\|fuse" | grep -c allow_other; umount m; echo done'
compare squashfuse 60 'mkdir s m; cp -a /usr/share/perl5/. s/ 2>/dev/null; cp /bin/busybox /bin/true s/ 2>/dev/null; mksquashfs s i.sq -quiet -no-progress > /dev/null && squashfuse i.sq m && diff -r s m && echo identical; m/true && echo runs
find m -type f | wc -l > a; find s -type f | wc -l | cmp - a && echo count; touch m/x; fusermount3 -u m; echo done'
compare fuse-overlayfs 90 'mkdir l1 l2 u w m; echo one > l1/a; echo two > l2/a; echo three > l2/b; mkdir l2/d; echo x > l2/d/y; fuse-overlayfs -o lowerdir=l1:l2,upperdir=u,workdir=w m && cat m/a m/b && echo changed >> m/b && rm m/a && rm -r m/d
mkdir m/z && cd m/z && '"$use"'; cd ..; cat l2/b u/b; ls m u; umount m; echo done'
compare sshfs 60 'mkdir s m; printf "#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n" > c; chmod +x c; sshfs -o ssh_command=$PWD/c localhost:$PWD/s m && cd m && '"$use"'; ls s; fusermount3 -u m; ls m; echo done'
compare compile 180 'mkdir s m; bindfs s m && cd m && python3 '"$gen"' . && make -s -j4 && ./prog && rm -f *.o && make -s && ./prog; cd ..; fusermount3 -u m; echo done'
compare git 90 'export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE="2020-01-01T00:00:00Z" GIT_COMMITTER_DATE="2020-01-01T00:00:00Z"; mkdir s m; bindfs s m && cd m && git -c init.defaultBranch=m init -q r && cd r && git config user.email a@b && git config user.name n
for i in $(seq 10); do echo $i > f$i; git add .; git commit -qm c$i; done; git rev-parse HEAD; git clone -q . ../c && cd ../c && git gc -q && git fsck 2>&1 | tail -1; git log --oneline | wc -l; cd ../..; fusermount3 -u m; echo done'
compare sqlite-wal 90 'mkdir s m; bindfs s m; cd m; python3 - <<X
import sqlite3, multiprocessing
def w(k):
    c=sqlite3.connect("t.db",timeout=60)
    for i in range(20):
        with c: c.execute("insert into t values(?,?)",(k,i))
c=sqlite3.connect("t.db"); print(c.execute("pragma journal_mode=wal").fetchone()); c.execute("create table t(a,b)"); c.commit()
ps=[multiprocessing.Process(target=w,args=(k,)) for k in range(3)]; [p.start() for p in ps]; [p.join() for p in ps]
print(c.execute("select count(*),sum(b) from t").fetchone(), c.execute("pragma integrity_check").fetchone())
X
cd ..; fusermount3 -u m; ls s; echo done'
# A user who may not mount: fusermount3 is set-user-id.
compare fusermount3 60 'mkdir u; chown nobody:nogroup u; cd u; setpriv --reuid=nobody --regid=nogroup --clear-groups bash -c "mkdir s m; echo hello > s/f; bindfs --no-allow-other s m && cat m/f && echo more >> m/f && cat s/f; grep -c user_id=65534 /proc/self/mounts"
ls m 2>&1 | sed "s/.*: //"; setpriv --reuid=nobody --regid=nogroup --clear-groups fusermount3 -u m; ls m; setpriv --reuid=nobody --regid=nogroup --clear-groups fusermount3 -u /proc 2>&1 | grep -c .; echo done'
compare dies 60 'mkdir s m; echo x > s/f; bindfs -f s m & for i in $(seq 50); do mountpoint -q m && break; sleep 0.1; done; exec 5< m/f; kill -9 $!; wait $! 2>/dev/null; cat <&5 2>&1 | sed "s/.*: //"; ls m 2>&1 | sed "s/.*: //"; exec 5<&-; umount m; ls m; echo done'

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""processes.py STATE_DIR KEEPER_PID: compares the processes of one sandbox with the table below.

Each row says what must hold for a kind of process. "own" namespaces are neither the host's nor, unless listed in "shares", those of
another kind of process."""
import json
import os
import stat
import sys

NOBODY = 65534
# CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID: what serving files of any owner takes
GOFER_CAPS = 0x1F
NS = ("ipc", "mnt", "net", "pid", "user", "uts")

TABLE = {
    "sentry": dict(uid=NOBODY, caps=0, bound=0, own=NS, root="empty", kinds=("null", "anon", "socket", "memfd", "write", "ro")),
    "gofer": dict(uid=0, caps=GOFER_CAPS, bound=GOFER_CAPS, own=("ipc", "mnt", "net", "pid", "uts"), root="mounts",
                  kinds=("null", "anon", "socket", "path", "ro", "rw")),
    "zygote": dict(uid=NOBODY, caps=0, bound=0, own=("ipc", "mnt", "net", "pid", "user", "uts"), root="empty", kinds=()),
    "stub": dict(uid=NOBODY, caps=0, bound=0, own=("ipc", "mnt", "net", "pid", "user", "uts"), root="empty", kinds=("ro",)),
    "keeper": dict(uid=NOBODY, caps=0, bound=0, own=(), root=None, kinds=("null", "anon", "socket")),
}
# A stub is a process of the zygote's namespaces.
SHARES = {("stub", "zygote"): NS}

failed = 0


def check(what, good, why=""):
    global failed
    print(f"ok processes/{what}" if good else f"not ok processes/{what}: {why}")
    failed += not good


def read(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as f:
        return f.read().decode(errors="replace")


def status(pid):
    return dict(l.split(":", 1) for l in read(pid, "status").splitlines() if ":" in l)


def ns_of(pid):
    return {n: os.readlink(f"/proc/{pid}/ns/{n}") for n in NS}


def fd_kind(pid, fd):
    """One word for a descriptor: what it is, and for files whether it can be written."""
    target = os.readlink(f"/proc/{pid}/fd/{fd}")
    info = read(pid, f"fdinfo/{fd}")
    flags = int([l for l in info.splitlines() if l.startswith("flags:")][0].split()[1], 8)
    if target in ("/dev/null", "/null"):
        return "null"
    if target.startswith("anon_inode:"):
        return "anon"
    if target.startswith("socket:"):
        return "socket"
    if target.startswith("pipe:"):
        return "write" if flags & 3 else "ro"
    if target.startswith("/memfd:"):
        return "memfd"
    if flags & os.O_PATH:
        return "path"
    return ("ro", "write", "rw")[flags & 3]


def check_maps(name, pid, what=None):
    bad = []
    for line in read(pid, "maps").splitlines():
        f = line.split(None, 5)
        if "w" in f[1] and "x" in f[1]:
            bad.append(line)
        if name == "stub" and "w" in f[1] and "s" in f[1] and len(f) > 5 and not f[5].startswith(("/memfd:", "/dev/zero")):
            bad.append(line)
    check(what or f"{name} maps", not bad, "writable and executable, or shared with a file: " + "; ".join(bad[:2]))


def check_process(name, pid, others):
    row, st = TABLE[name], status(pid)
    check(f"{name} ids", st["Uid"].split() == [str(row["uid"])] * 4 and not st["Groups"].split(), st["Uid"] + st["Groups"])
    caps = {k: int(st[k], 16) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    check(f"{name} capabilities", caps["CapEff"] & ~row["caps"] == 0 and caps["CapPrm"] & ~row["caps"] == 0 and
          not caps["CapInh"] and not caps["CapAmb"] and caps["CapBnd"] & ~row["bound"] == 0, str({k: hex(v) for k, v in caps.items()}))
    check(f"{name} no_new_privs", st["NoNewPrivs"].strip() == "1", st["NoNewPrivs"])
    if name != "keeper":  # holds a socket and waits: nothing from inside reaches it but 8-byte messages
        check(f"{name} seccomp", st["Seccomp"].strip() == "2", st["Seccomp"])
    mine, host = ns_of(pid), ns_of("self")
    same = [n for n in row["own"] if mine[n] == host[n]]
    check(f"{name} namespaces not the host's", not same, ", ".join(same))
    for other, opid in others.items():
        if other == name or "keeper" in (name, other):
            continue
        share = SHARES.get((name, other), SHARES.get((other, name), ()))
        theirs = ns_of(opid)
        same = [n for n in row["own"] if mine[n] == theirs[n] and n not in share]
        check(f"{name} namespaces not the {other}'s", not same, ", ".join(same))
    if row["root"] == "empty":
        entries = os.listdir(f"/proc/{pid}/root/")
        opts = read(pid, "mountinfo").splitlines()
        check(f"{name} root empty and read-only", not entries and len(opts) == 1 and "ro" in opts[0].split()[5].split(","),
              f"{entries[:5]}, {len(opts)} mounts")
    elif row["root"] == "mounts":
        entries = os.listdir(f"/proc/{pid}/root/")
        check(f"{name} root holds the container's mounts only", all(e.isdigit() for e in entries), str(entries[:5]))
        check(f"{name} root read-only", "ro" in read(pid, "mountinfo").splitlines()[0].split()[5].split(","))
    kinds = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            kinds.setdefault(fd_kind(pid, fd), []).append(fd + "=" + os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass  # closed meanwhile
    extra = {k: v for k, v in kinds.items() if k not in row["kinds"]}
    check(f"{name} descriptors", not extra, str(extra)[:200])
    check_maps(name, pid)


def descendants(pid):
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        try:
            for t in os.listdir(f"/proc/{p}/task"):
                kids = read(p, f"task/{t}/children").split()
                out += kids
                todo += kids
        except OSError:
            continue
    return out


def check_files(state_dir):
    root = os.path.dirname(state_dir)
    for d in (root, state_dir):
        m = stat.S_IMODE(os.stat(d).st_mode)
        check(f"mode of {os.path.basename(d) if d == root else 'state directory'}", m & 0o077 == 0, oct(m))
    for n in os.listdir(state_dir):
        m = os.lstat(os.path.join(state_dir, n)).st_mode
        check(f"mode of {n}", stat.S_IMODE(m) & (0o077 if stat.S_ISSOCK(m) else 0o022) == 0, oct(m))


def main():
    state = json.load(open(os.path.join(sys.argv[1], "state.json")))
    procs = {k: state[k]["pid"] for k in ("sentry", "gofer", "zygote")}
    if int(sys.argv[2]):
        procs["keeper"] = int(sys.argv[2])
    stubs = descendants(procs["zygote"])
    check("stubs were found", len(stubs) >= 3, f"{len(stubs)}")
    for name, pid in procs.items():
        check_process(name, pid, procs)
    # every stub, the first in full and the rest by what differs between processes
    for i, pid in enumerate(stubs):
        try:
            if i == 0:
                check_process("stub", pid, procs)
            st, fds = status(pid), {fd_kind(pid, f) for f in os.listdir(f"/proc/{pid}/fd")}
        except OSError:
            continue  # ended meanwhile
        check(f"stub {i} confined", st["Seccomp"].strip() == "2" and int(st["CapEff"], 16) == 0 and st["NoNewPrivs"].strip() == "1" and
              fds <= {"ro"} and int(st["CapBnd"], 16) == 0, f"{st['Seccomp']} {st['CapEff']} {st['CapBnd']} {fds}")
        check_maps("stub", pid, f"stub {i} maps")
    check_files(sys.argv[1])
    sys.exit(0)


main()

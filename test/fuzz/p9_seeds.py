#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# p9_seeds.py DIR - first inputs for the 9P fuzzers: one of each message, made from the table itself
import os, re, struct, sys

src = open(os.path.join(os.path.dirname(__file__), "../../proto/p9_messages.h")).read().replace("\\\n", " ")
nr = {n: int(v) for v, n in re.findall(r"M\((\d+), (\w+)\)", src)}
fields = {n: re.findall(r"F\((\w+), (\w+)\)", f) for n, f in re.findall(r"#define P9_FIELDS_(\w+)\(F\)(.*)", src)}


def s(t):
    return struct.pack("<H", len(t)) + t


def value(kind, name, msg):
    if kind == "str":
        return s(b"" if name in ("uname", "client_id") else b"user.x" if "xattr" in msg else b"hello" if msg[0] == "T" else b"x")
    if kind == "data":
        return struct.pack("<I", 4) + b"data"
    if kind == "names":
        return struct.pack("<H", 1) + s(b"hello")
    if kind == "qids":
        return struct.pack("<H", 1) + bytes(13)
    if kind == "xstats":
        return struct.pack("<H", 1) + bytes(120)
    if kind == "fids":
        return struct.pack("<HII", 2, 2, 99)
    n = {"u8": 1, "u16": 2, "u32": 4, "optu32": 4, "u64": 8, "qid": 13, "time": 16, "xstat": 120}[kind]
    v = {"fid": 1, "dfid": 1, "olddfid": 1, "newdfid": 1, "newfid": 2, "count": 4096, "want": 2, "mode": 0o100644,
         "msize": 65536, "size": 100}.get(name, 0)
    return v.to_bytes(n, "little")


def message(name, tag=1):
    body = b"".join(value(k, f, name) for k, f in fields[name])
    return struct.pack("<IBH", 7 + len(body), nr[name], tag) + body


def put(sub, name, data):
    d = os.path.join(sys.argv[1], sub)
    os.makedirs(d, exist_ok=True)
    with open(os.path.join(d, name), "wb") as f:
        f.write(data)


version = struct.pack("<IBHI", 7 + 4 + 2 + 15, nr["Rversion"], 0xFFFF, 65536) + s(b"9P2000.L.runsc2")
for name in nr:
    if name[0] == "T":
        put("p9_server", name, message(name) + message("Tclunk", 2))
    else:
        put("p9_client", name, b"\1" + version + message(name, 0))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry of the images that critest pulls, made of what this machine has. Usage: registry.py ROOTFS NNP PORT

ROOTFS is a busybox root file system, NNP a static program that prints its effective uid. Every image is one layer,
made when the program starts; names are taken without their host, as containerd's mirror configuration sends them.
Prints "ready" when it serves on 127.0.0.1:PORT."""
import ctypes, hashlib, http.server, io, json, os, subprocess, sys, tarfile

rootfs, nnp, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
blobs, tags = {}, {}	# digest -> bytes; (name, reference) -> (media type, bytes)
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def put(data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return digest


def layer(files):
    """files: path -> bytes, a host path to copy (str), or (mode, bytes or host path); on top of the busybox rootfs when "/" is there."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        if files.pop("/", None):
            t.add(rootfs, ".", filter=lambda i: None if i.name[1:] in files else i)
        for path, what in files.items():
            mode, what = what if isinstance(what, tuple) else (0o755, what)
            data = what if isinstance(what, bytes) else open(what, "rb").read()
            i = tarfile.TarInfo(path.lstrip("/"))
            i.size, i.mode = len(data), mode
            t.addfile(i, io.BytesIO(data))
    return out.getvalue()


def image(names, files, **config):
    data = layer(files)
    digest = put(data)
    cfg = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"], **config}
    conf = json.dumps({"architecture": "amd64", "os": "linux", "config": cfg, "rootfs": {"type": "layers", "diff_ids": [digest]}}).encode()
    man = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST,
                      "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(conf), "digest": put(conf)},
                      "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar", "size": len(data), "digest": digest}]}).encode()
    for n in names:
        name, _, tag = n.partition(":")
        tags[name, tag or "latest"] = tags[name, put(man)] = (MANIFEST, man)


def with_libs(program):
    """The program and what ld.so needs for it."""
    out = {program: program}
    for word in subprocess.run(["ldd", program], capture_output=True, text=True).stdout.split():
        if word.startswith("/"):
            out[word] = os.path.realpath(word)
    return out


def nginx(port):
    conf = f"""daemon off; error_log stderr; pid /var/run/nginx.pid;
events {{ }}
http {{ access_log off; server {{ listen {port}; root /html; }} }}
"""
    return {"/": True, **with_libs("/usr/sbin/nginx"), "/etc/nginx/nginx.conf": conf.encode(), "/html/index.html": b"Welcome to nginx!\n",
            "/var/lib/nginx/.d": b"", "/var/run/.d": b"", "/var/log/nginx/.d": b""}


ACCOUNTS = {"/etc/passwd": (0o644, b"root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/:/bin/false\ndefault-user:x:1000:1000::/:/bin/sh\n"
                            b"nobody:x:65534:65534:nobody:/:/bin/false\n"),
            "/etc/group": (0o644, b"root:x:0:\nwww-data:x:33:\ndefault-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\nnogroup:x:65534:\n")}
BUSYBOX = {"/": True, **ACCOUNTS}
CRI, E2E = "k8s-staging-cri-tools/", "e2e-test-images/"

image(["pause:3.6", "pause:3.9"], {**BUSYBOX}, Cmd=["sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"])
image([E2E + "busybox:1.29-2"], {**BUSYBOX})
image([E2E + "nginx:1.14-2"], nginx(80) | ACCOUNTS, Cmd=["nginx"])
image([CRI + "hostnet-nginx-amd64"], nginx(12003) | ACCOUNTS, Cmd=["nginx"])
image([E2E + "httpd:2.4.39-4"], {**BUSYBOX, "/html/index.html": b"It works!\n"},
      Cmd=["sh", "-c", "echo httpd -D FOREGROUND; exec httpd -f -p 80 -h /html"])
image([E2E + "nonewprivs:1.3"], {**BUSYBOX, "/nnp": (0o4755, nnp)}, Cmd=["/nnp"])
for user in ("1002", "www-data", "1003:1003", "www-data:www-data"):
    kind = ("uid" if user[0] == "1" else "username") + ("-group" if ":" in user else "")
    image([CRI + "test-image-user-" + kind], {**BUSYBOX}, User=user)
image([CRI + "test-image-predefined-group"], {**BUSYBOX}, User="1000")
for n in ("latest", "tag:test", "tag:all", "digest"):
    image([CRI + "test-image-" + n], {"/" + n: n.encode()})
for n in ("1", "2", "3"):
    image([CRI + f"test-image-{n}:latest"], {"/" + n: n.encode()})
image([CRI + f"test-image-tags:{n}" for n in (1, 2, 3)], {"/tags": b"tags"})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        parts = self.path.split("?")[0].strip("/").split("/")
        kind, data = "application/octet-stream", None
        if parts == ["v2"]:
            data = b"{}"
        elif len(parts) > 3 and parts[-2] == "manifests":
            kind, data = tags.get(("/".join(parts[1:-2]), parts[-1]), (kind, None))
        elif len(parts) > 3 and parts[-2] == "blobs":
            data = blobs.get(parts[-1])
        self.send_response(404 if data is None else 200)
        data = data or b""
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if kind == MANIFEST:
            self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(data).hexdigest())
        self.end_headers()
        if body:
            self.wfile.write(data)

    def do_GET(self):
        self.answer(True)

    def do_HEAD(self):
        self.answer(False)

    def log_message(self, *args):
        pass


ctypes.CDLL(None).prctl(1, 15)	# PR_SET_PDEATHSIG, SIGTERM: ends with the test, however that ends
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
print("ready", flush=True)
server.serve_forever()

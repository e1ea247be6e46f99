# SPDX-License-Identifier: Apache-2.0
# The host's side of net_apps.sh: a web server of a folder (GET, POST echo, ranges), and a proxy that answers for every host name
# from the same folder, so that apt-get and others can be pointed at it.
# usage: apps_peer.py FOLDER PORT PROXY-PORT
import http.server
import os
import socket
import sys
import threading
import urllib.parse

folder, port, proxy = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args):
        super().__init__(*args, directory=folder)

    def translate_path(self, path):
        return super().translate_path(urllib.parse.urlparse(path).path)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        rng = self.headers.get("Range", "")
        path = self.translate_path(self.path)
        if not rng.startswith("bytes=") or not os.path.isfile(path):
            return super().do_GET()
        lo, hi = rng[6:].split("-")
        with open(path, "rb") as f:
            data = f.read()
        part = data[int(lo):int(hi) + 1 if hi else len(data)]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {lo}-{int(lo) + len(part) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 64


servers = [Server(("::", p), Handler) for p in (port, proxy)]
threading.Thread(target=servers[0].serve_forever, daemon=True).start()
servers[1].serve_forever()

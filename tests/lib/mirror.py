#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An HTTP server, and a proxy that makes up mirrors: mirror.py FOLDER LOG PORT_FILE

  http://mirror.contract.example/mirror/debian/...   is http://deb.debian.org/debian/...
  http://security.contract.example/...               is http://security.debian.org/...
  http://packages.contract.example/...               is FOLDER
  http://deb.debian.org, http://security.debian.org  are themselves
Nothing else is there.  Asked directly, and not as a proxy, it serves FOLDER.  Half-way through the file whose name FOLDER/vanish-at
holds, if that is there, the server ends and all its connections with it.  Each request is a line of LOG; the port that it listens on goes to PORT_FILE.
"""
import http.client
import http.server
import os
import shutil
import sys
import urllib.parse

UPSTREAM = {
    ("mirror.contract.example", "/mirror/debian/"): ("deb.debian.org", "/debian/"),
    ("security.contract.example", "/"): ("security.debian.org", "/"),
    ("deb.debian.org", "/"): ("deb.debian.org", "/"),
    ("security.debian.org", "/"): ("security.debian.org", "/"),
}
PASSED_ON = ("Content-Type", "Content-Length", "Last-Modified", "ETag", "Content-Range")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        self.server.log.write(f"{self.client_address[0]} {self.path}\n")
        if url.hostname in (None, "packages.contract.example"):
            return self.local(url.path)
        for (host, path), upstream in UPSTREAM.items():
            if url.hostname == host and url.path.startswith(path):
                return self.forward(upstream[0], upstream[1] + url.path[len(path):])
        self.send_error(404)

    do_HEAD = do_GET

    def local(self, path):
        name = os.path.join(self.server.folder, *[p for p in path.split("/") if p not in ("", "..")])
        if not os.path.isfile(name):
            return self.send_error(404)
        with open(name, "rb") as file:
            self.send_response(200)
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            if self.command == "GET":
                self.vanish(name, file)
                shutil.copyfileobj(file, self.wfile)

    def vanish(self, name, file):
        mark = os.path.join(self.server.folder, "vanish-at")
        if not os.path.isfile(mark):
            return
        with open(mark, encoding="utf-8") as wanted:
            if os.path.basename(name) != wanted.read().strip():
                return
        self.wfile.write(file.read(os.fstat(file.fileno()).st_size // 2))
        os._exit(0)

    def forward(self, host, path):
        upstream = http.client.HTTPConnection(host, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k in ("Range", "If-Range", "If-Modified-Since", "Cache-Control")}
        try:
            upstream.request(self.command, urllib.parse.quote(path, safe="/%~+:="), headers=headers)
            answer = upstream.getresponse()
        except OSError as error:
            return self.send_error(502, str(error))
        self.send_response(answer.status)
        for name in PASSED_ON:
            if answer.getheader(name):
                self.send_header(name, answer.getheader(name))
        if answer.getheader("Content-Length") is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command == "GET":
            shutil.copyfileobj(answer, self.wfile)
        upstream.close()

    def log_message(self, *_):
        pass


def main(folder, log, port_file):
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    server.daemon_threads = True
    server.folder = folder
    server.log = open(log, "a", buffering=1, encoding="utf-8")
    with open(port_file + ".new", "w", encoding="ascii") as file:
        file.write(f"{server.server_address[1]}\n")
    os.rename(port_file + ".new", port_file)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/env python3
"""A server in front of a registry that misbehaves as told, for registry_copy.bats.

usage: registry_front.py start DIR UPSTREAM [USER PASSWORD]   prints its port; stop it with
                                                              registry_lab.py stop DIR

UPSTREAM is HOST:PORT. DIR/mode says what happens to GETs of blobs larger than 4 KiB:

    pass          nothing
    break N       the first N are cut off in the middle
    lie           one byte is another
    short         half of it, as if that were all
    busy N        the first N get 429 with Retry-After: 1
    to HOST:PORT  they are redirected there

With USER and PASSWORD everything wants Basic credentials. DIR/seen gets one line a request: method,
path, "login" or "-".
"""
import base64
import http.client
import http.server
import os
import sys
import threading

import registry_lab

BLOCK = 64 * 1024
LARGE = 4096


class Front:
    def __init__(self, directory, upstream, user, password):
        self.directory = directory
        self.upstream = upstream
        self.wanted = user and "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.lock = threading.Lock()
        self.count = 0

    def mode(self):
        with open(self.directory + "/mode") as text:
            return text.read().split()

    def note(self, line):
        with self.lock, open(self.directory + "/seen", "a") as out:
            out.write(line + "\n")

    def still(self, word):
        """Is this one of the first N?"""
        with self.lock:
            self.count += 1
            return self.count <= int(word)


def handler(front):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def plain(self, status, **headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self):
            login = self.headers.get("Authorization")
            front.note(f"{self.command} {self.path} {'login' if login else '-'}")
            if front.wanted and login != front.wanted:
                self.plain(401, WWW_Authenticate='Basic realm="front"')
                return
            upstream = http.client.HTTPConnection(front.upstream)
            accept = self.headers.get("Accept")
            upstream.request(self.command, self.path, headers={"Accept": accept} if accept else {})
            answer = upstream.getresponse()
            body = answer.read()
            self.answer(answer, body)
            upstream.close()

        do_HEAD = do_GET

        def answer(self, answer, body):
            mode = front.mode()
            blob = "/blobs/sha256:" in self.path and len(body) > LARGE
            if blob and mode[0] == "to":
                self.plain(307, Location=f"http://{mode[1]}{self.path}")
                return
            if blob and mode[0] == "busy" and front.still(mode[1]):
                self.plain(429, Retry_After="1")
                return
            if blob and mode[0] == "lie":
                body = body[:-1] + bytes([body[-1] ^ 1])
            if blob and mode[0] == "short":
                body = body[:len(body) // 2]
            self.send_response(answer.status)
            for name in ("Content-Type", "Docker-Content-Digest"):
                if answer.headers[name]:
                    self.send_header(name, answer.headers[name])
            length = answer.headers["Content-Length"] if self.command == "HEAD" else len(body)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if blob and mode[0] == "break" and front.still(mode[1]):
                self.wfile.write(body[:len(body) // 2])
                self.close_connection = True
                return
            self.wfile.write(body)

    return Handler


def serve(directory, port, upstream, user=None, password=None):
    front = Front(directory, upstream, user, password)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), handler(front)).serve_forever()


def start(directory, *rest):
    os.makedirs(directory)
    with open(directory + "/mode", "w") as out:
        out.write("pass")
    with open(directory + "/seen", "w"):
        pass
    port = registry_lab.free_port()
    registry_lab.background(
        directory, [sys.executable, os.path.abspath(__file__), "serve", directory, str(port), *rest])
    registry_lab.wait_for(port)
    print(port)


if __name__ == "__main__":
    {"start": start, "serve": serve}[sys.argv[1]](*sys.argv[2:])

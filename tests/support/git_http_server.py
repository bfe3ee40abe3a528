#!/usr/bin/env python3
"""Serves the repositories below a directory over HTTP(S) on loopback, through git's own backend.

Prints its port, then runs until its input ends. One line a request goes to LOG: method, path, the
Authorization header.
"""
import argparse
import base64
import http.server
import os
import ssl
import subprocess
import sys
import threading

arguments = argparse.ArgumentParser()
arguments.add_argument("root")
arguments.add_argument("log")
arguments.add_argument("--token", help="wanted as the password of user x-access-token")
arguments.add_argument("--certificate", help="PEM file with key and certificate: serve HTTPS")
arguments.add_argument("--redirect", help="answer everything with a redirect to this URL")
options = arguments.parse_args()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def refuse(self, status, header):
        self.send_response(status)
        self.send_header(*header)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def serve(self):
        body = self.body()
        sent = self.headers.get("Authorization", "-")
        with open(options.log, "a", encoding="utf-8") as log:
            log.write(f"{self.command} {self.path} {sent}\n")
        if options.redirect:
            return self.refuse(301, ("Location", options.redirect + self.path))
        wanted = base64.b64encode(f"x-access-token:{options.token}".encode()).decode()
        if options.token and sent != "Basic " + wanted:
            return self.refuse(401, ("WWW-Authenticate", 'Basic realm="git"'))
        return self.run_backend(body)

    do_GET = do_POST = serve

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def run_backend(self, body):
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": "/usr/bin:/bin", "HOME": options.root, "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROJECT_ROOT": options.root, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "test",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if options.certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
os._exit(0)

#!/usr/bin/env python3
"""An HTTPS proxy through which ECR's host names lead to the sandbox, so that a client can be tested
with a real ECR address: it ends TLS with a certificate of its own and hands the bytes on.

usage: ecr_relay.py DIR HOST:PORT

Writes DIR/ca.pem (to be trusted), then its port to DIR/port. Every name but ECR's is refused, and
those of the apps below example.org that DIR/apps has when they are asked, one rule a line, the
first that fits: "HOST[/PATH] ANSWER". ANSWER is a status ("503"), or the name of the service of the
sandbox that answers.
"""
import os
import socket
import socketserver
import ssl
import subprocess
import sys
import threading

ECR = [f"*.dkr.ecr.{region}.amazonaws.com" for region in ("us-east-1", "ap-south-1")]
APPS = "*.example.org"


def certificate(directory):
    names = ",".join("DNS:" + name for name in [*ECR, APPS])
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=relay",
                    "-addext", "subjectAltName=" + names, "-keyout", directory + "/key.pem",
                    "-out", directory + "/ca.pem"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory + "/ca.pem", directory + "/key.pem")
    return context


def head_of(connection):
    data = b""
    while b"\r\n\r\n" not in data and len(data) < 8192:
        more = connection.recv(1)  # not a byte of what follows
        if not more:
            break
        data += more
    return data.decode("latin-1").split()


def copy(source, target):
    """Until the end of `source`, which then is the end for `target` as well."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def answer_of(directory, address):
    try:
        with open(directory + "/apps") as rules:
            for line in rules:
                prefix, answer = line.split()
                if address.startswith(prefix):
                    return answer
    except FileNotFoundError:
        pass
    return "502"


class Tunnel(socketserver.BaseRequestHandler):
    def handle(self):
        words = head_of(self.request)
        host = words[1].removesuffix(":443") if len(words) > 1 else ""
        is_ecr = any(host.endswith(name[1:]) for name in ECR)
        if words[:1] != ["CONNECT"] or not (is_ecr or host.endswith(APPS[1:])):
            self.request.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            client = self.server.tls.wrap_socket(self.request, server_side=True)
        except OSError:
            return
        with client:
            (self.hand_on if is_ecr else self.answer)(client, host)

    def hand_on(self, client, host):
        with socket.create_connection(self.server.target) as server:
            back = threading.Thread(target=copy, args=(server, client), daemon=True)
            back.start()
            copy(client, server)
            back.join()

    def answer(self, client, host):
        """One GET, as from the load balancer or the gateway before the apps."""
        words = head_of(client)
        if len(words) < 2:
            return
        answer = answer_of(self.server.directory, host + words[1])
        if answer.isdigit():
            client.sendall(b"HTTP/1.1 %s Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" %
                           answer.encode())
            return
        with socket.create_connection(self.server.target) as server:
            server.sendall(f"GET /apps/{answer}{words[1]} HTTP/1.1\r\nHost: {host}\r\n"
                           "Connection: close\r\n\r\n".encode())
            copy(server, client)


class Relay(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def main():
    directory, target = sys.argv[1:]
    os.makedirs(directory, exist_ok=True)
    host, port = target.rsplit(":", 1)
    with Relay(("127.0.0.1", 0), Tunnel) as relay:
        relay.tls = certificate(directory)
        relay.target = (host, int(port))
        relay.directory = directory
        with open(directory + "/port.new", "w") as out:
            out.write(str(relay.server_address[1]))
        os.rename(directory + "/port.new", directory + "/port")
        relay.serve_forever()


main()

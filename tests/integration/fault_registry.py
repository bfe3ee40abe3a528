#!/usr/bin/env python3
"""A registry that fails as it is told, for registry_faults.bats. It uses nothing of the program
under test.

usage: fault_registry.py start DIR [UPSTREAM]   prints the port; with UPSTREAM (HOST:PORT) it is a
                                                proxy before that registry, else it keeps all itself
       fault_registry.py images DIR             images to push: Docker archives noise.tar, two.tar,
                                                many.tar and layers.tar, and the first three as layouts

The server checks what a registry must: digests of blobs and manifests, sessions, and that a
manifest's blobs are there. It never refuses a manifest whose blobs are missing; it counts them.

POST /_lab/play  {"ecr": bool, "immutable": bool, "repositories": [..] or null, "rules": [..],
                  "token": uses of each that is given, or null: none is wanted}
                 starts a new story: the log is empty, the store too
GET /_lab/log    {"requests": ["POST /v2/…"], "unfounded": [..], "tags": {..}, "blobs": n,
                 "most": requests at once, "sessions": open ones, "tokens": given}

A rule: {"method", "path" (regular expression, searched), "times" (1), "skip" (0), and one of
  "status"       the answer, with "code", "message", "headers"; the body is read first
  "early"        the same before the body is read; the connection is closed
  "reset_after"  so many bytes of the body are read, then the connection is reset
  "drop"         the connection is closed without an answer
  "lose"         the request is carried out and the connection closed without an answer
  "hang"         seconds without an answer, then the connection is closed
  "answer"       headers that are added to or (null) left out of the good answer}
"""
import gzip
import hashlib
import http.client
import http.server
import io
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import time
import urllib.parse

PIECE = 16 * 1024


class Gone(Exception):
    """The connection is over, and nothing more is to be said on it."""


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Store:
    """Blobs, manifests and sessions of one story."""

    def __init__(self, play):
        self.lock = threading.Lock()
        self.ecr = play.get("ecr", False)
        self.immutable = play.get("immutable", False)
        self.repositories = play.get("repositories")
        self.rules = [dict(rule, left=rule.get("times", 1), wait=rule.get("skip", 0))
                      for rule in play.get("rules", [])]
        self.token = play.get("token")
        self.tokens = []  # uses left of each
        self.blobs, self.manifests, self.tags, self.sessions = {}, {}, {}, {}
        self.requests, self.unfounded = [], []
        self.active = self.most = self.opened = 0

    def rule_for(self, method, path):
        with self.lock:
            for rule in self.rules:
                if rule.get("method", method) != method or not re.search(rule["path"], path):
                    continue
                if rule["wait"] > 0:
                    rule["wait"] -= 1
                elif rule["left"] != 0:
                    rule["left"] -= 1
                    return rule
        return {}

    def open_session(self):
        with self.lock:
            self.opened += 1
            name = f"session-{self.opened}"
            self.sessions[name] = None
            return name

    def log(self):
        return {"requests": self.requests, "unfounded": self.unfounded, "tags": self.tags,
                "blobs": len(self.blobs), "most": self.most, "tokens": len(self.tokens),
                "sessions": len(self.sessions)}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fault-registry"

    def log_message(self, *arguments):
        pass

    # The request's body.

    def pieces(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while True:
                line = self.rfile.readline()
                size = int(line.split(b";")[0], 16) if line.strip() else -1
                if size < 0:
                    raise Gone
                left = size
                while left > 0:
                    piece = self.rfile.read(min(left, PIECE))
                    if not piece:
                        raise Gone
                    left -= len(piece)
                    yield piece
                self.rfile.readline()
                if size == 0:
                    return
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            piece = self.rfile.read(min(left, PIECE))
            if not piece:
                raise Gone
            left -= len(piece)
            yield piece

    def read_body(self):
        limit = self.rule.get("reset_after")
        body = b""
        for piece in self.pieces():
            body += piece
            if limit is not None and len(body) >= limit:
                self.reset()
        if limit is not None:
            self.reset()
        return body

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    # The answer.

    def answer(self, status, headers=None, body=b""):
        if self.rule.get("lose"):
            raise Gone
        headers = dict(headers or {})
        for name, value in self.rule.get("answer", {}).items():
            headers.pop(name, None)
            if value is not None:
                headers[name] = value
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code, message="", headers=None):
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode() if code else b""
        self.answer(status, headers, body)

    # Dispatch.

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (Gone, OSError):
            self.close_connection = True

    def do(self):
        self.rule = {}
        if self.path.startswith("/_lab/"):
            self.lab()
            return
        store = self.server.store
        self.rule = store.rule_for(self.command, self.path)
        with store.lock:
            store.requests.append(f"{self.command} {self.path}")
            store.active += 1
            store.most = max(store.most, store.active)
        try:
            if self.path.startswith("/token"):
                self.give_token(store)
            elif not self.play_rule():
                self.forward() if self.server.upstream else self.carry_out(store)
        finally:
            with store.lock:
                store.active -= 1

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do

    def lab(self):
        if self.path == "/_lab/play":
            body = b"".join(self.pieces())
            self.server.store = Store(json.loads(body))
            self.answer(204)
        else:
            self.answer(200, {}, json.dumps(self.server.store.log()).encode())

    def play_rule(self):
        rule = self.rule
        if "hang" in rule:
            time.sleep(rule["hang"])
            raise Gone
        if rule.get("drop"):
            self.read_body()
            raise Gone
        if "early" in rule:
            self.close_connection = True
            self.refuse(rule["early"], rule.get("code"), rule.get("message", ""),
                        dict(rule.get("headers", {}), Connection="close"))
            return True
        if "status" in rule:
            self.read_body()
            self.refuse(rule["status"], rule.get("code"), rule.get("message", ""),
                        rule.get("headers"))
            return True
        return False

    # Tokens that last for a number of requests.

    def give_token(self, store):
        with store.lock:
            store.tokens.append(store.token)
            token = f"token-{len(store.tokens) - 1}"
        self.answer(200, {}, json.dumps({"token": token, "expires_in": 3600}).encode())

    def is_let_in(self, store):
        if not store.token:
            return True
        match = re.fullmatch(r"Bearer token-(\d+)", self.headers.get("Authorization", ""))
        with store.lock:
            if match and store.tokens[int(match.group(1))] > 0:
                store.tokens[int(match.group(1))] -= 1
                return True
        self.read_body()
        port = self.server.server_address[1]
        self.refuse(401, "UNAUTHORIZED", "authentication required", {
            "WWW-Authenticate": f'Bearer realm="http://127.0.0.1:{port}/token",service="lab"'})
        return False

    # The registry.

    def carry_out(self, store):
        url = urllib.parse.urlsplit(self.path)
        match = re.fullmatch(r"/v2/(.+?)/(blobs/uploads|blobs|manifests|tags)/(.*)", url.path)
        if not match:
            self.refuse(404, "UNSUPPORTED")
            return
        if not self.is_let_in(store):
            return
        repository, kind, reference = match.groups()
        if store.repositories is not None and repository not in store.repositories:
            if self.command == "POST" and store.ecr:
                raise Gone  # ECR drops the connection
            self.refuse(404, "NAME_UNKNOWN", f"The repository with name '{repository}' does not "
                        "exist in the registry with id '123456789012'")
            return
        if kind == "tags":
            self.answer(200, {}, json.dumps({"name": repository, "tags": list(store.tags)}).encode())
        elif kind == "manifests":
            self.manifest(store, reference)
        elif kind == "blobs/uploads":
            self.upload(store, repository, reference, urllib.parse.parse_qs(url.query))
        else:
            self.blob(store, reference)

    def blob(self, store, digest):
        if digest not in store.blobs:
            self.refuse(404, "BLOB_UNKNOWN")
        else:
            data = store.blobs[digest]
            self.answer(200, {"Content-Length": str(len(data)), "Docker-Content-Digest": digest},
                        data)

    def upload(self, store, repository, name, query):
        where = f"/v2/{repository}/blobs/uploads/"
        if self.command == "POST":
            self.answer(202, {"Location": where + store.open_session() + "?_state=a%3D"})
            return
        if self.command == "DELETE":
            store.sessions.pop(name, None)
            self.answer(204)
            return
        if name not in store.sessions:
            self.read_body()
            self.refuse(404, "BLOB_UPLOAD_UNKNOWN")
            return
        kept = store.sessions[name]
        body = self.read_body()
        if self.command == "PATCH" or body:
            if kept is not None:  # a second body in one session
                self.refuse(416, "BLOB_UPLOAD_INVALID")
                return
            store.sessions[name] = body
        if self.command == "PATCH":
            self.answer(201 if store.ecr else 202, {"Location": where + name, "Range": "0-0"})
            return
        data = store.sessions.pop(name) or b""
        wanted = query.get("digest", [""])[0]
        if digest_of(data) != wanted:
            self.refuse(400, "DIGEST_INVALID",
                        "provided digest did not match uploaded content")
            return
        store.blobs[wanted] = data
        self.answer(201, {"Docker-Content-Digest": wanted})

    def manifest(self, store, reference):
        if self.command == "PUT":
            self.put_manifest(store, reference)
            return
        digest = reference if reference.startswith("sha256:") else store.tags.get(reference)
        if digest not in store.manifests:
            self.refuse(404, "MANIFEST_UNKNOWN")
            return
        data, media_type = store.manifests[digest]
        self.answer(200, {"Content-Type": media_type, "Docker-Content-Digest": digest,
                          "Content-Length": str(len(data))}, data)

    def put_manifest(self, store, reference):
        data = self.read_body()
        digest = digest_of(data)
        if store.immutable and store.tags.get(reference):
            self.refuse(400, "TAG_INVALID", f"The image tag '{reference}' already exists in the "
                        "repository and cannot be overwritten because the tag is immutable.")
            return
        if self.missing_below(data):
            store.unfounded.append(digest)
        store.manifests[digest] = (data, self.headers["Content-Type"])
        if not reference.startswith("sha256:"):
            store.tags[reference] = digest
        headers = {"Docker-Content-Digest": digest}
        if not store.ecr:
            headers["Location"] = self.path
        self.answer(201, headers)

    def missing_below(self, data):
        """What a manifest names and nobody has."""
        document = json.loads(data)
        names = [item["digest"] for item in document.get("layers", [])]
        if "config" in document:
            names.append(document["config"]["digest"])
        children = [item["digest"] for item in document.get("manifests", [])]
        return [name for name in names if not self.is_there("blobs", name)] + \
            [name for name in children if not self.is_there("manifests", name)]

    def is_there(self, kind, digest):
        store = self.server.store
        if not self.server.upstream:
            return digest in (store.blobs if kind == "blobs" else store.manifests)
        repository = re.match(r"/v2/(.+)/manifests/", self.path).group(1)
        upstream = http.client.HTTPConnection(self.server.upstream)
        upstream.request("HEAD", f"/v2/{repository}/{kind}/{digest}")
        return upstream.getresponse().status == 200

    # The proxy.

    def forward(self):
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        limit = self.rule.get("reset_after")
        length = self.headers.get("Content-Length")
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection",):
                upstream.putheader(name, value)
        upstream.endheaders()
        done, body = 0, b""
        for piece in self.pieces():
            done += len(piece)
            if limit is not None and done > limit:
                upstream.close()
                self.reset()
            if "/manifests/" in self.path:
                body += piece
            upstream.send(piece if length else b"%x\r\n%s\r\n" % (len(piece), piece))
        if not length and "Transfer-Encoding" in self.headers:
            upstream.send(b"0\r\n\r\n")
        if self.command == "PUT" and "/manifests/" in self.path and self.missing_below(body):
            self.server.store.unfounded.append(digest_of(body))
        reply = upstream.getresponse()
        data = reply.read()
        headers = {name: value for name, value in reply.getheaders()
                   if name.lower() not in ("transfer-encoding", "connection", "date")}
        self.answer(reply.status, headers, data)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def serve(port, upstream):
    server = Server(("127.0.0.1", int(port)), Handler)
    server.store = Store({})
    server.upstream = upstream or None
    server.serve_forever()


def start(directory, upstream=""):
    os.makedirs(directory, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(directory + "/log", "ab") as log:
        process = subprocess.Popen([sys.executable, __file__, "serve", str(port), upstream],
                                   stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                   start_new_session=True, close_fds=True)
    with open(directory + "/pids", "a") as out:
        out.write(f"{process.pid}\n")
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            print(port)
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("the server does not answer")


# Images.

def config_of(plains):
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {
        "type": "layers", "diff_ids": [digest_of(data) for data in plains]}}).encode()


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def docker_archive(path, plains):
    files = {f"layer{i}.tar": data for i, data in enumerate(plains)}
    files["config.json"] = config_of(plains)
    files["manifest.json"] = json.dumps([{"Config": "config.json", "RepoTags": ["noise:1"],
                                          "Layers": [f"layer{i}.tar" for i in range(len(plains))]}]
                                        ).encode()
    with open(path, "wb") as out:
        out.write(tar_of(files))


def layout(path, plains):
    os.makedirs(path + "/blobs/sha256", exist_ok=True)

    def put(data, media_type):
        with open(f"{path}/blobs/sha256/{digest_of(data)[7:]}", "wb") as out:
            out.write(data)
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}

    oci = "application/vnd.oci.image."
    manifest = {"schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
                "config": put(config_of(plains), oci + "config.v1+json"),
                "layers": [put(gzip.compress(data, 1, mtime=0), oci + "layer.v1.tar+gzip")
                           for data in plains]}
    top = put(json.dumps(manifest).encode(), oci + "manifest.v1+json")
    with open(path + "/oci-layout", "w") as out:
        out.write('{"imageLayoutVersion":"1.0.0"}')
    with open(path + "/index.json", "w") as out:
        json.dump({"schemaVersion": 2, "manifests": [top]}, out)


def images(directory):
    """One layer of a good 1 MiB that does not compress, and a small one; each a tar."""
    os.makedirs(directory, exist_ok=True)
    noise = random.Random(11)
    plains = [tar_of({"noise": noise.randbytes(1200 * 1024)}), tar_of({"small": b"text\n" * 999})]
    docker_archive(directory + "/noise.tar", plains)
    layout(directory + "/noise", plains)
    changed = tar_of({"other": noise.randbytes(3000)})
    docker_archive(directory + "/two.tar", [plains[0], changed])
    layout(directory + "/two", [plains[0], changed])
    lines = b"".join(b"line %d of a file that compresses\n" % i for i in range(90000))
    docker_archive(directory + "/layers.tar", [
        tar_of({"lines": lines[:3 * 1024 * 1024 - 100], "to-be-replaced": b"old"}),
        tar_of({"noise": noise.randbytes(1200 * 1024)}), tar_of({"to-be-replaced": b"new"}),
        tar_of({"deep/file": b"in a directory that nobody lists\n"})])
    many = [tar_of({f"file{i}": noise.randbytes(1300 * 1024)}) for i in range(6)]
    docker_archive(directory + "/many.tar", many)
    layout(directory + "/many", many)


COMMANDS = {"start": start, "serve": serve, "images": images}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])

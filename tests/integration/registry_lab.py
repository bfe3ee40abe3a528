#!/usr/bin/env python3
"""Helpers of registry_push.bats: a registry of its own, images, and looking at what arrived.

usage: registry_lab.py start DIR [USER PASSWORD]   starts docker-registry; prints its port
       registry_lab.py start-bearer DIR USER PASSWORD   the same with a token service of its own;
                                                   tokens live as long as DIR/life says, in seconds
       registry_lab.py stop DIR
       registry_lab.py large DIR                   a docker-archive with layers of several MiB
       registry_lab.py compare-layout LAYOUT HOST REPOSITORY TAG
       registry_lab.py compare-archive ARCHIVE HOST REPOSITORY TAG
       registry_lab.py digest HOST REPOSITORY TAG

The compare commands fetch the tag and everything below it, and compare with the source byte for
byte. They use nothing of the program under test.
"""
import base64
import gzip
import hashlib
import http.server
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.parse
import urllib.request

ACCEPT = ",".join([
    "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json"])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(directory, user=None, password=None):
    os.makedirs(directory)
    auth = None
    if user:
        entry = subprocess.run(["htpasswd", "-nbB", user, password], check=True,
                               capture_output=True).stdout
        with open(directory + "/htpasswd", "wb") as out:
            out.write(entry)
        auth = {"htpasswd": {"realm": "lab", "path": directory + "/htpasswd"}}
    run_registry(directory, auth)


def run_registry(directory, auth):
    port = free_port()
    config = {"version": "0.1", "log": {"level": "warn"},
              "storage": {"filesystem": {"rootdirectory": directory + "/data"}},
              "http": {"addr": f"127.0.0.1:{port}"}}
    if auth:
        config["auth"] = auth
    with open(directory + "/config.yml", "w") as out:
        json.dump(config, out)  # JSON is YAML
    background(directory, ["docker-registry", "serve", directory + "/config.yml"])
    wait_for(port)
    print(port)


def background(directory, command):
    with open(directory + "/log", "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                   start_new_session=True, close_fds=True)
    with open(directory + "/pids", "a") as out:
        out.write(f"{process.pid}\n")


def wait_for(port):
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("the server does not answer")


def start_bearer(directory, user, password):
    os.makedirs(directory)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=lab", "-keyout", directory + "/key.pem", "-out",
                    directory + "/cert.pem"], check=True, capture_output=True)
    with open(directory + "/life", "w") as out:
        out.write("300")
    port = free_port()
    background(directory, [sys.executable, __file__, "serve-tokens", directory, str(port), user,
                           password])
    wait_for(port)
    run_registry(directory, {"token": {"realm": f"http://127.0.0.1:{port}/token?lab=1",
                                       "service": "lab registry", "issuer": "lab",
                                       "rootcertbundle": directory + "/cert.pem"}})


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_token(directory, scopes, life):
    """A JWT as distribution wants it: RS256, the certificate in x5c."""
    with open(directory + "/cert.pem") as text:
        certificate = "".join(text.read().splitlines()[1:-1])
    parts = [scope.split(":") for scope in scopes]
    now = int(time.time())
    claims = {"iss": "lab", "aud": "lab registry", "sub": "robot", "exp": now + life,
              "nbf": now - 5, "iat": now, "jti": str(now),
              "access": [{"type": kind, "name": name, "actions": actions.split(",")}
                         for kind, name, actions in parts]}
    head = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
    signed = url64(json.dumps(head).encode()) + "." + url64(json.dumps(claims).encode())
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", directory + "/key.pem"],
                               input=signed.encode(), check=True, capture_output=True).stdout
    return signed + "." + url64(signature)


def serve_tokens(directory, port, user, password):
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    class Tokens(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            with open(directory + "/asked", "a") as out:
                out.write(" ".join(query["scope"]) + "\n")
            good = (self.headers.get("Authorization") == wanted and query["lab"] == ["1"] and
                    query["service"] == ["lab registry"])
            with open(directory + "/life") as text:
                life = int(text.read())
            body = json.dumps({"token": make_token(directory, query["scope"], life),
                               "expires_in": life} if good else {}).encode()
            self.send_response(200 if good else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    http.server.HTTPServer(("127.0.0.1", int(port)), Tokens).serve_forever()


def stop(directory):
    with open(directory + "/pids") as text:
        for line in text:
            os.kill(int(line), signal.SIGTERM)


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def large(directory):
    """Layers of 5 MiB that do not compress, 9 MiB that do, one byte over a block, and none."""
    os.makedirs(directory, exist_ok=True)
    noise = random.Random(7)
    plains = [noise.randbytes(5 * 1024 * 1024 + 17),
              b"".join(b"line %d of a file that compresses\n" % i for i in range(300000)),
              b"\x01" * (1024 * 1024 + 1), b"", b"\0" * 1024]
    config = json.dumps({"architecture": "arm64", "os": "linux", "rootfs": {
        "type": "layers", "diff_ids": [digest_of(data) for data in plains]}}).encode()
    files = {f"layer{i}.tar": data for i, data in enumerate(plains)}
    files["config.json"] = config
    files["manifest.json"] = json.dumps([{"Config": "config.json", "RepoTags": ["large:1"],
                                          "Layers": [f"layer{i}.tar" for i in range(len(plains))]}]
                                        ).encode()
    with tarfile.open(directory + "/large.tar", "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def get(host, repository, kind, reference):
    request = urllib.request.Request(f"http://{host}/v2/{repository}/{kind}/{reference}",
                                     headers={"Accept": ACCEPT})
    with urllib.request.urlopen(request) as answer:
        data = answer.read()
        if reference.startswith("sha256:") and digest_of(data) != reference:
            sys.exit(f"{reference} has another content")
        return data, answer.headers["Content-Type"]


def walk(host, repository, reference):
    """All manifests and blobs below the reference, as digest to bytes."""
    found = {}
    data, media_type = get(host, repository, "manifests", reference)
    document = json.loads(data)
    if document.get("mediaType", media_type) != media_type:
        sys.exit(f"{reference} was stored as {media_type}")
    found[digest_of(data)] = data
    for child in document.get("manifests", []):
        found.update(walk(host, repository, child["digest"]))
    if "config" in document:
        for item in [document["config"], *document["layers"]]:
            found[item["digest"]] = get(host, repository, "blobs", item["digest"])[0]
    return found


def compare_layout(layout, host, repository, tag):
    found = walk(host, repository, tag)
    blobs = os.path.join(layout, "blobs/sha256")
    for digest, data in found.items():
        with open(os.path.join(blobs, digest[7:]), "rb") as source:
            if source.read() != data:
                sys.exit(f"{digest} differs")
    missing = {"sha256:" + name for name in os.listdir(blobs)} - set(found)
    if missing:
        sys.exit(f"not pushed: {missing}")
    print(f"{len(found)} equal")


def compare_archive(archive, host, repository, tag):
    manifest = json.loads(get(host, repository, "manifests", tag)[0])
    with tarfile.open(archive) as tar:
        entry = json.load(tar.extractfile("manifest.json"))[0]
        if get(host, repository, "blobs", manifest["config"]["digest"])[0] != \
                tar.extractfile(entry["Config"]).read():
            sys.exit("the configuration differs")
        if len(entry["Layers"]) != len(manifest["layers"]):
            sys.exit("another number of layers")
        for name, layer in zip(entry["Layers"], manifest["layers"]):
            packed = get(host, repository, "blobs", layer["digest"])[0]
            if len(packed) != layer["size"]:
                sys.exit(f"{name}: {len(packed)} bytes instead of {layer['size']}")
            if gzip.decompress(packed) != tar.extractfile(name).read():
                sys.exit(f"{name} differs")
    print(f"{len(manifest['layers'])} layers equal")


def digest(host, repository, tag):
    print(digest_of(get(host, repository, "manifests", tag)[0]))


COMMANDS = {"start": start, "start-bearer": start_bearer, "serve-tokens": serve_tokens, "stop": stop, "large": large, "compare-layout": compare_layout,
            "compare-archive": compare_archive, "digest": digest}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])

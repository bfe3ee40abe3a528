#!/usr/bin/env -S python3 -B
"""Helpers of docker_daemon.bats: real daemons, images for them, and what is asked of them.

usage: engine_lab.py start-dockerd DIR     starts dockerd and a relay before it; prints the relay's
                                           socket; DIR/asked gets the first line of each request
       engine_lab.py start-podman DIR      the same with podman's service
       engine_lab.py stop DIR
       engine_lab.py image FILE NAME COUNT an image with COUNT layers as a docker-archive; prints the
                                           digest of its configuration
       engine_lab.py load SOCKET FILE
       engine_lab.py remove SOCKET NAME

Exit 3: the daemon does not start here; its log is in DIR/log.
"""
import hashlib
import http.client
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time

START_SECONDS = 60


class Engine(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def ask(self, method, url, body=None):
        self.request(method, url, body, {"Content-Type": "application/x-tar"} if body else {})
        answer = self.getresponse()
        return answer.status, answer.read()


def background(directory, command):
    with open(directory + "/log", "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                   start_new_session=True, close_fds=True)
    with open(directory + "/pids", "a") as out:
        out.write(f"{process.pid}\n")
    return process


def start(directory, command, path):
    os.makedirs(directory, exist_ok=True)
    process = background(directory, command)
    for _ in range(10 * START_SECONDS):
        try:
            if Engine(path).ask("GET", "/_ping")[0] == 200:
                break
        except OSError:
            pass
        if process.poll() is not None:
            sys.exit(3)
        time.sleep(0.1)
    else:
        stop(directory)
        sys.exit(3)
    relay = directory + "/relay.sock"
    background(directory, [sys.executable, "-B", __file__, "relay", relay, path,
                           directory + "/asked"])
    while not os.path.exists(relay):
        time.sleep(0.05)
    print(relay)


def start_dockerd(directory):
    path = directory + "/docker.sock"
    start(directory, ["dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none",
                      "--storage-driver", "vfs", "--data-root", directory + "/data", "--exec-root",
                      directory + "/exec", "--pidfile", directory + "/pid", "-H",
                      "unix://" + path], path)


def start_podman(directory):
    path = directory + "/podman.sock"
    start(directory, ["podman", "--root", directory + "/data", "--runroot", directory + "/run",
                      "--storage-driver", "vfs", "system", "service", "--time", "0",
                      "unix://" + path], path)


def stop(directory):
    with open(directory + "/pids") as text:
        for line in reversed(text.read().split()):
            try:
                os.kill(int(line), signal.SIGTERM)
            except ProcessLookupError:
                pass


def relay(path, target, asked):
    """Connections to `path` go to `target`; the first line of each request is written down."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(16)
    while True:
        client, _ = server.accept()
        threading.Thread(target=serve, args=(client, target, asked), daemon=True).start()


def serve(client, target, asked):
    daemon = socket.socket(socket.AF_UNIX)
    daemon.connect(target)
    threading.Thread(target=pump, args=(daemon, client), daemon=True).start()
    pending = b""
    while data := client.recv(65536):
        pending += data
        while b"\r\n\r\n" in pending:  # requests without a body
            head, pending = pending.split(b"\r\n\r\n", 1)
            with open(asked, "ab") as out:
                out.write(head.split(b"\r\n")[0] + b"\n")
        daemon.sendall(data)
    daemon.close()


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(number):
    """Files that compress by half, a little over two blocks."""
    noise = random.Random(number)
    data = b"".join(noise.randbytes(512) + b"%d" % number * 512 for _ in range(2200))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(f"file{number}")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def image(path, name, count):
    layers = [layer(i) for i in range(int(count))]
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
        "config": {"Cmd": ["/file0"]}, "history": [{"created_by": "lab"} for _ in layers],
        "rootfs": {"type": "layers", "diff_ids": [digest_of(data) for data in layers]}}).encode()
    files = {digest_of(config)[7:] + ".json": config}
    files.update({f"{i}/layer.tar": data for i, data in enumerate(layers)})
    files["manifest.json"] = json.dumps([{
        "Config": digest_of(config)[7:] + ".json", "RepoTags": [name],
        "Layers": [f"{i}/layer.tar" for i in range(len(layers))]}]).encode()
    with tarfile.open(path, "w") as tar:
        for member, data in files.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    print(digest_of(config))


def load(path, archive):
    with open(archive, "rb") as data:
        status, said = Engine(path).ask("POST", "/images/load", data.read())
    if status != 200 or b"errorDetail" in said:
        sys.exit(f"load: {status} {said}")


def remove(path, name):
    status, said = Engine(path).ask("DELETE", f"/images/{name}")
    if status != 200:
        sys.exit(f"remove: {status} {said}")


COMMANDS = {"start-dockerd": start_dockerd, "start-podman": start_podman, "stop": stop,
            "relay": relay, "image": image, "load": load, "remove": remove}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])

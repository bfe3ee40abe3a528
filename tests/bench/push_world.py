"""What tests/bench/push runs in: a mount namespace, a registry over TLS, relays, and one way to start
and measure a program.

Nothing of the system changes: the name of the registry, the folders that peers keep their caches in and
the root of the unpacked peers are mounts that end with the namespace.
"""
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = "registry.bench.test"
HELPERS = {"measure": [], "delay_relay": [], "push_floor": ["libcurl"],
           "compress_floor": ["libisal", "libcrypto"]}
LOG_LINE = re.compile(r'"(GET|HEAD|POST|PUT|PATCH|DELETE) (\S+) HTTP/')


def compile_helpers(folder):
    """C where an interpreter would be what is measured."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, libraries in HELPERS.items():
        source, program = ROOT / "tests/bench" / f"{name}.c", folder / name
        if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
            continue
        flags = []
        if libraries:
            flags = subprocess.run(["pkg-config", "--cflags", "--libs", *libraries], check=True,
                                   capture_output=True, text=True).stdout.split()
        subprocess.run(["cc", "-std=c17", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-o", program,
                        source, *flags], check=True)


def enter_namespace(mark):
    """Starts this program again with mounts of its own; returns when that is done."""
    if os.environ.get(mark):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("push: terminated"))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return
    if os.geteuid() != 0:
        sys.exit("push: needs root: it mounts in a namespace of its own, and starts peers by chroot")
    # A proxy would be asked for the registry of this machine.
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    env[mark] = "1"
    os.execvpe("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, "-B",
                           *sys.argv], env)


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def terminate(process):
    """Ends a process of ours and what it started."""
    if process is None or process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(question, what, seconds=20):
    end = time.monotonic() + seconds
    while not question():
        if time.monotonic() > end:
            sys.exit(f"push: {what}")
        time.sleep(0.02)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def become_daemon(root):
    """In the child: it dies with the benchmark, however that ends, and lives below `root`."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if root != "-":
        os.chroot(root)
        os.chdir("/")


class World:
    """Folders, mounts and the environment that all tools are given."""

    def __init__(self, build, images, peers):
        self.helpers = build / "bench"
        self.work = build / "bench/work"
        self.images = images
        self.peers = peers / "root" if (peers / "versions").exists() else None
        self.report = self.work / "report"
        self.processes = []
        self.build_mounts()
        for name in ("home", "tmp", "run"):
            (self.work / name).mkdir()
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "HOME": str(self.work / "home"), "TMPDIR": str(self.work / "tmp"),
                    "XDG_RUNTIME_DIR": str(self.work / "run"),
                    "SSL_CERT_FILE": str(self.work / "ca.pem"), "LANG": "C.UTF-8"}

    def build_mounts(self):
        self.work.mkdir(parents=True, exist_ok=True)
        mount("-t", "tmpfs", "-o", "size=80%,mode=755", "bench", self.work)
        hosts = self.work / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {HOST}\n")
        mount("--bind", hosts, "/etc/hosts")
        for name in ("upper", "scratch"):
            (self.work / name).mkdir()
        # Installed peers keep their caches below /var/lib; here they start without any.
        mount("-t", "overlay", "-o", f"lowerdir=/var/lib,upperdir={self.work}/upper,"
              f"workdir={self.work}/scratch", "overlay", "/var/lib")
        if self.peers:
            self.mount_peers()

    def mount_peers(self):
        mount("--bind", self.peers, self.peers)  # dockerd remounts its root, which must be a mount
        for name in ("proc", "sys", "dev"):
            mount("--rbind", f"/{name}", self.peers / name)
        for name in ("run", "tmp", "root", "var/lib"):
            mount("-t", "tmpfs", "bench", self.peers / name)
        (self.peers / "etc/hosts").touch()
        mount("--bind", "/etc/hosts", self.peers / "etc/hosts")
        for folder in (self.work, self.images):
            inside = self.peers / str(folder).lstrip("/")
            inside.mkdir(parents=True, exist_ok=True)
            mount("--bind", folder, inside)

    def find(self, program):
        """Where a peer is: (root or '-', path inside of it), or None."""
        for folder in ("usr/bin", "usr/sbin"):
            if self.peers and (self.peers / folder / program).exists():
                return str(self.peers), f"/{folder}/{program}"
        path = shutil.which(program)
        return ("-", path) if path else None

    def start(self, command, root="-", log=None):
        """A daemon in a process group of its own."""
        with open(log or os.devnull, "ab") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.env,
                start_new_session=True, cwd="/", preexec_fn=lambda: become_daemon(root))
        self.processes.append(process)
        return process

    def measure(self, command, root="-"):
        """Runs a command to its end: wall s, CPU s, peak MiB; `failed` is the end of its output."""
        result = subprocess.run(
            [self.helpers / "measure", self.report, root, *map(str, command)], env=self.env, cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        wall, user, system, peak, status = map(float, self.report.read_text().split())
        output = result.stdout.decode(errors="replace")
        return {"wall": wall, "cpu": user + system, "peak": peak / 1024, "output": output,
                "failed": output[-600:] if status != 0 else None}

    def close(self):
        for process in reversed(self.processes):
            terminate(process)


def make_certificates(folder):
    """A CA of our own and a certificate for the registry's name: ca.pem, cert.pem, key.pem."""
    (folder / "names").write_text(f"subjectAltName=DNS:{HOST}\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for command in (
            ["req", "-x509", *curve, "-days", "2", "-subj", "/CN=bench CA", "-keyout", "ca-key.pem",
             "-out", "ca.pem"],
            ["req", *curve, "-subj", f"/CN={HOST}", "-keyout", "key.pem", "-out", "request.pem"],
            ["x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-days",
             "2", "-CAcreateserial", "-extfile", "names", "-out", "cert.pem"]):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)


class Registry:
    """docker-registry over TLS on tmpfs; its access log counts the requests."""

    def __init__(self, world, http2):
        found = world.find("docker-registry")
        if found is None:
            sys.exit("push: no docker-registry: run tests/bench/peers, or install docker-registry")
        self.root, self.program = found
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.data = world.work / "registry"
        self.log = world.work / "registry.log"
        make_certificates(world.work)
        config = {"version": "0.1", "log": {"level": "error", "accesslog": {"disabled": False}},
                  "storage": {"filesystem": {"rootdirectory": str(self.data)}},
                  "http": {"addr": f"127.0.0.1:{self.port}", "secret": "bench",
                           "http2": {"disabled": not http2},
                           "tls": {"certificate": str(world.work / "cert.pem"),
                                   "key": str(world.work / "key.pem")}}}
        (world.work / "registry.yml").write_text(json.dumps(config))  # JSON is YAML
        world.start([self.program, "serve", world.work / "registry.yml"], self.root, self.log)
        wait_until(lambda: answers(self.port), "the registry does not answer")
        self.seen = 0

    def requests(self):
        """The requests since the last call: (method, path). Waits until the log rests."""
        size = -1
        while size != self.log.stat().st_size:
            size = self.log.stat().st_size
            time.sleep(0.05)
        with open(self.log, encoding="utf-8", errors="replace") as log:
            log.seek(self.seen)
            text = log.read()
            self.seen = log.tell()
        return LOG_LINE.findall(text)

    def repository(self, name):
        return self.data / "docker/registry/v2/repositories" / name

    def has(self, name, tag):
        return (self.repository(name) / "_manifests/tags" / tag / "current/link").exists()

    def blob(self, digest):
        return self.data / "docker/registry/v2/blobs/sha256" / digest[7:9] / digest[7:] / "data"


class Relay:
    """A port that leads to the registry from a distance; counts connections and bytes."""

    def __init__(self, world, registry, rtt_ms):
        self.rtt_ms = rtt_ms
        self.counters = world.work / f"relay-{rtt_ms}"
        said = world.work / f"relay-{rtt_ms}.port"
        world.start([world.helpers / "delay_relay", str(registry.port), str(int(rtt_ms * 1000)),
                     self.counters], log=said)
        wait_until(lambda: said.exists() and said.read_text().endswith("\n"), "no relay")
        self.port = int(said.read_text())
        self.before = self.read()

    def read(self):
        return struct.unpack("QQQ", self.counters.read_bytes())

    def since(self):
        """(connections, bytes sent by the client, bytes received) since the last call."""
        now = self.read()
        before, self.before = self.before, now
        return tuple(b - a for a, b in zip(before, now))

"""The tools that tests/bench/push compares: how each pushes an image, and what it forgets between runs.

Every run is one of a fresh runner: no tool keeps what it learned from an earlier push.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import push_images
from push_world import terminate, wait_until

CACHES = ("var/lib/containers/cache", "root/.cache")


def go_version(path):
    """(1, 22) for a program built with Go 1.22, None for others."""
    data = pathlib.Path(path).read_bytes()
    at = data.find(b"\xff Go buildinf:")
    found = re.search(rb"go(1)\.(\d+)", data[at:at + 64]) if at >= 0 else None
    if found is None and at >= 0:
        return (1, 0)  # before 1.18 the version was elsewhere
    return (int(found[1]), int(found[2])) if found else None


class Tool:
    """name; families of cases it can do; old: not to be compared with."""

    families = "abc"
    old = False
    note = ""

    def __init__(self, world, name, program, root="-"):
        self.world, self.name, self.program, self.root = world, name, program, root

    def start(self, images):
        """Once, before the first run; `images` are those that will be pushed."""

    def fresh(self, _repository):
        """Before each run: forget."""
        for name in ("home", "tmp"):
            shutil.rmtree(self.world.work / name)
            (self.world.work / name).mkdir()
        for cache in CACHES if self.root != "-" else ("var/lib/containers/cache",):
            shutil.rmtree(os.path.join("/" if self.root == "-" else self.root, cache),
                          ignore_errors=True)

    def push(self, image, target, _step):
        return self.world.measure([self.program, *self.arguments(image, target)], self.root)

    def arguments(self, image, target):
        raise NotImplementedError

    def stop(self):
        """Once, after the last run."""


class Dispatcher(Tool):
    def __init__(self, world, program, small):
        super().__init__(world, "dispatcher small" if small else "dispatcher", program)
        self.help = subprocess.run([program, "push", "--help"], check=True, capture_output=True,
                                   text=True).stdout
        self.families = "b" if small else "abc"
        self.more = ["--compression", "small"] if small else []

    def push(self, image, target, step):
        more = list(self.more)
        if step in ("newtag", "top") and "--previous" in self.help:
            more += ["--previous", "1.0"]
        source = "oci:" if image["kind"] == "layout" else "docker-archive:"
        return self.world.measure([self.program, "push", source + image["path"], target, *more])


class Peer(Tool):
    def __init__(self, world, name, program=None):
        root, path = world.find(program or name)
        super().__init__(world, name, path, root)
        inside = pathlib.Path(path if root == "-" else root + path).resolve()
        built_with = go_version(inside)
        self.old = built_with is not None and built_with < (1, 20)
        self.note = "old peer: Go < 1.20" if self.old else ""


class Skopeo(Peer):
    def arguments(self, image, target):
        source = "oci:" + image["path"] + ":bench"
        if image["kind"] == "archive":
            source = "docker-archive:" + image["path"]
        return ["copy", "--quiet", "--insecure-policy", source, "docker://" + target]


class Crane(Peer):
    def arguments(self, image, target):
        return ["push", image["path"], target]


class Oras(Peer):
    families = "ac"  # it copies layouts; it does not know a docker-archive

    def arguments(self, image, target):
        return ["cp", "--no-tty", "--from-oci-layout", image["path"] + ":bench", target]


class Podman(Peer):
    families = "b"

    def options(self):
        store = self.world.work / "podman"
        return ["--root", store / "root", "--runroot", store / "run", "--storage-driver", "overlay",
                "--events-backend", "none", "--cgroup-manager", "cgroupfs"]

    def start(self, images):
        for image in images:
            done = self.world.measure([self.program, *self.options(), "load", "--quiet", "--input",
                                       image["path"]], self.root)
            if done["failed"]:
                raise RuntimeError("podman load: " + done["failed"])

    def arguments(self, image, target):
        return [*self.options(), "push", "--quiet", image["name"], target]


class Docker(Peer):
    """The client and its daemon; both count. The daemon is started anew for each run, without what
    it noted about the registry."""

    families = "b"

    def __init__(self, world, name):
        super().__init__(world, name)
        self.daemon_root, self.daemon = world.find("dockerd")
        self.store = world.work / "docker"
        self.process = None

    def call(self, *arguments):
        return self.world.measure([self.program, "-H", f"unix://{self.store}/socket", *arguments],
                                  self.root)

    def start_daemon(self):
        self.store.mkdir(exist_ok=True)
        (self.store / "socket").unlink(missing_ok=True)
        (self.store / "pid").unlink(missing_ok=True)
        self.process = self.world.start(
            [self.daemon, "--iptables=false", "--ip6tables=false", "--bridge=none", "--data-root",
             self.store / "data", "--exec-root", self.store / "exec", "--pidfile", self.store / "pid",
             "-H", f"unix://{self.store}/socket"], self.daemon_root, self.store / "log")
        wait_until(lambda: not self.call("version")["failed"], "dockerd does not start", 60)

    def start(self, images):
        self.start_daemon()
        for image in images:
            done = self.call("load", "--quiet", "--input", image["path"])
            if done["failed"]:
                raise RuntimeError("docker load: " + done["failed"])

    def fresh(self, repository):
        super().fresh(repository)
        terminate(self.process)
        for noted in self.store.glob("data/image/*/distribution"):
            shutil.rmtree(noted)
        self.start_daemon()

    def members(self):
        """The daemon and what it started."""
        pids = [self.process.pid]
        for pid in pids:
            for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                pids += map(int, children.read_text().split())
        return pids

    def cpu(self):
        ticks = 0
        for pid in self.members():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def push(self, image, target, _step):
        self.call("tag", image["name"], target)
        time.sleep(0.3)  # the daemon's own start is over
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")  # peak from here on
        before = self.cpu()
        done = self.call("push", "--quiet", target)
        done["cpu"] += self.cpu() - before
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
        done["peak"] = max(done["peak"], peak)
        return done

    def stop(self):
        terminate(self.process)


class Floor(Tool):
    """The lower bound: it is told what is missing (see push_floor.c and compress_floor.c)."""

    note = "told what is missing; b: isa-l level 1 and SHA-256, then the upload, one after the other"

    def __init__(self, world):
        super().__init__(world, "floor", world.helpers / "push_floor")
        self.sent = {}  # repository: what `new` put there

    def send(self, target, steps, manifest=None):
        repository, tag = target.rsplit(":", 1)
        host, _, path = repository.partition("/")
        connections = 16 if self.world.rtt_ms else 6
        if manifest:
            file = self.world.work / "floor-manifest"
            file.write_bytes(manifest)
            steps = [*steps, "put", f"manifests/{tag}", push_images.OCI_MANIFEST, file]
        return self.world.measure([self.program, f"https://{host}/v2/{path}", connections, *steps])

    def push(self, image, target, step):
        if image["kind"] == "archive":
            return self.push_archive(image, target, step)
        digest = image["manifest"]["digest"]
        folder = pathlib.Path(image["path"]) / "blobs/sha256"
        if step == "again":
            return self.send(target, ["head", "manifests/1.0"])
        if step == "newtag":
            steps = ["head", "manifests/" + digest]
        else:
            steps = blob_steps(dict(blob, file=folder / blob["digest"][7:])
                               for blob in (image["blobs"] if step == "new" else image["blobs"][-2:]))
        return self.send(target, steps, (folder / digest[7:]).read_bytes())

    def compress(self, image, numbers):
        command = [self.world.helpers / "compress_floor", image["path"]]
        for n in numbers:
            command += [*image["spans"][n], self.world.work / f"floor-layer{n}"]
        done = self.world.measure(command)
        layers = []
        for line in done["output"].splitlines():
            digest, size, path = line.split()
            layers.append({"mediaType": push_images.GZIP_LAYER, "digest": digest, "size": int(size),
                           "file": path})
        return done, layers

    def push_archive(self, image, target, step):
        repository = target.partition("/")[2].rpartition(":")[0]
        if step in ("again", "newtag"):  # a fresh runner has to read what the last image was made of
            known = self.sent[repository]
            steps = ["get", "manifests/1.0", "get", "blobs/" + known["config"]]
            return self.send(target, steps, known["manifest"] if step == "newtag" else None)
        known = self.sent[repository] if step == "top" else {"layers": []}
        compressed, made = self.compress(image, range(len(known["layers"]), image["layers"]))
        if compressed["failed"]:
            return compressed
        layers, config = known["layers"] + made, image["config"].encode()
        path = self.world.work / "floor-config"
        path.write_bytes(config)
        blob = {"mediaType": push_images.OCI_CONFIG, "digest": push_images.digest_of(config),
                "size": len(config), "file": path}
        manifest = push_images.manifest_of(descriptor(blob), [descriptor(layer) for layer in layers])
        steps = blob_steps([*made, blob])
        if step == "top":
            steps = ["get", "manifests/1.0", "get", "blobs/" + known["config"], *steps]
        else:
            self.sent[repository] = {"layers": layers, "config": blob["digest"], "manifest": manifest}
        sent = self.send(target, steps, manifest)
        sent["wall"] += compressed["wall"]
        sent["cpu"] += compressed["cpu"]
        sent["peak"] = max(sent["peak"], compressed["peak"])
        return sent


def descriptor(blob):
    return {key: blob[key] for key in ("mediaType", "digest", "size")}


def blob_steps(blobs):
    return [part for blob in blobs for part in ("blob", blob["digest"], blob["size"], blob["file"])]


def all_tools(world, binary, wanted):
    """The tools that are here, the lower bound first."""
    tools = [Floor(world), Dispatcher(world, binary, False)]
    if re.search(r"--compression\b.*small|small.*--compression\b", tools[1].help, re.DOTALL):
        tools.append(Dispatcher(world, binary, True))
    for name, kind in (("crane", Crane), ("oras", Oras), ("skopeo", Skopeo), ("podman", Podman)):
        if world.find(name):
            tools.append(kind(world, name))
    if world.find("docker") and world.find("dockerd"):
        tools.append(Docker(world, "docker"))
    unknown = set(wanted or []) - {tool.name for tool in tools}
    if unknown:
        sys.exit(f"push: not here: {', '.join(sorted(unknown))}")
    return [tool for tool in tools if not wanted or tool.name in wanted]

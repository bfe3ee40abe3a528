"""The images that tests/bench/push sends: made once, from seeds and from this machine's own file trees.

a      OCI layout, 8 gzipped layers of 64 MiB that do not compress
b      docker-archive, 6 plain layers of real file trees, 611 MiB where the machine has as much
c      OCI layout, 60 gzipped layers of 2 KiB
x-top  the same with one layer of 1 MiB more on top

b is the same only on one machine: the trees are what it has installed.
"""
import gzip
import hashlib
import io
import json
import os
import pathlib
import random
import shutil
import stat
import tarfile

MIB = 1 << 20
GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
# A tree, and how many MiB of it.
TREES = [("/usr/lib/x86_64-linux-gnu", 260), ("/usr/bin", 110), ("/usr/share", 110),
         ("/usr/include", 60), ("/usr/lib/python3", 40), ("/usr/share/doc", 31)]
MADE = "made-2"  # another name when images are made otherwise: old ones are not used then


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config_of(diff_ids):
    document = {"architecture": "amd64", "config": {"Cmd": ["/bin/true"]},
                "created": "2020-01-01T00:00:00Z", "os": "linux",
                "history": [{"created": "2020-01-01T00:00:00Z", "created_by": f"layer {n}"}
                            for n in range(len(diff_ids))],
                "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    return json.dumps(document, sort_keys=True).encode()


def manifest_of(config, layers):
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}
    return json.dumps(document, sort_keys=True).encode()


def entry(name, size, mode=0o644):
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, mode
    return info


def random_layer(seed, size):
    """A tar of one file of random bytes."""
    data = random.Random(seed).randbytes(size)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(entry(f"data/{seed}", size), io.BytesIO(data))
    return out.getvalue()


class Layout:
    """An OCI layout that is being written."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.diff_ids, self.layers = [], []

    def blob(self, data, media_type):
        digest = digest_of(data)
        path = self.folder / "blobs/sha256" / digest[7:]
        path.write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def layer(self, tar):
        self.diff_ids.append(digest_of(tar))
        self.layers.append(self.blob(gzip.compress(tar, 1, mtime=0), GZIP_LAYER))

    def continue_from(self, base):
        """Shares the layers of another layout on disk too."""
        self.diff_ids, self.layers = list(base.diff_ids), list(base.layers)
        for layer in base.layers:
            name = "blobs/sha256/" + layer["digest"][7:]
            os.link(base.folder / name, self.folder / name)

    def finish(self):
        config = self.blob(config_of(self.diff_ids), OCI_CONFIG)
        manifest = self.blob(manifest_of(config, self.layers), OCI_MANIFEST)
        named = dict(manifest, annotations={"org.opencontainers.image.ref.name": "bench"})
        index = {"schemaVersion": 2, "manifests": [named]}
        (self.folder / "index.json").write_text(json.dumps(index))
        return {"kind": "layout", "path": self.folder.name, "manifest": manifest,
                "blobs": self.layers + [config], "layers": len(self.layers)}


def make_layouts(folder, name, count, size):
    base, top = Layout(folder / name), Layout(folder / f"{name}-top")
    for n in range(count):
        base.layer(random_layer(f"{name}{n}", size))
    top.continue_from(base)
    top.layer(random_layer(f"{name}-top", MIB))
    return {name: base.finish(), f"{name}-top": top.finish()}


def tree_files(tree, budget, avoid):
    """Paths below `tree` in a fixed order until `budget` bytes are reached."""
    for folder, below, names in os.walk(tree):
        below[:] = sorted(name for name in below if os.path.join(folder, name) not in avoid)
        for name in sorted(names):
            path = os.path.join(folder, name)
            info = os.lstat(path)
            if stat.S_ISLNK(info.st_mode):
                yield path, info
            elif stat.S_ISREG(info.st_mode) and info.st_size <= budget:
                budget -= info.st_size
                yield path, info


def write_tree(path, tree, budget):
    avoid = [other for other, _ in TREES if other != tree]
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for file, info in tree_files(tree, budget, avoid):
            member = entry(file.lstrip("/"), 0, stat.S_IMODE(info.st_mode) & 0o755)
            if stat.S_ISLNK(info.st_mode):
                member.type, member.linkname = tarfile.SYMTYPE, os.readlink(file)
                tar.addfile(member)
                continue
            member.size = info.st_size
            with open(file, "rb") as data:
                tar.addfile(member, data)


def file_digest(path):
    with open(path, "rb") as data:
        return "sha256:" + hashlib.file_digest(data, "sha256").hexdigest()


def write_archive(path, layers, name):
    """docker-archive as `docker save` wrote it before version 25; `layers`: (file, diff_id)."""
    config = config_of([diff_id for _, diff_id in layers])
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    spans, members = [], []
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for file, diff_id in layers:
            size = os.stat(file).st_size
            members.append(f"{diff_id[7:]}/layer.tar")
            spans.append((tar.offset + tarfile.BLOCKSIZE, size))
            with open(file, "rb") as data:
                tar.addfile(entry(members[-1], size), data)
        tar.addfile(entry(config_name, len(config)), io.BytesIO(config))
        manifest = [{"Config": config_name, "RepoTags": [name], "Layers": members}]
        data = json.dumps(manifest).encode()
        tar.addfile(entry("manifest.json", len(data)), io.BytesIO(data))
    return {"kind": "archive", "path": path.name, "name": name, "spans": spans,
            "layers": len(layers), "config": config.decode()}


def make_archives(folder):
    layers = []
    for n, (tree, budget) in enumerate(TREES):
        if os.path.isdir(tree):
            file = folder / f"layer{n}.tar"
            write_tree(file, tree, budget * MIB)
            layers.append((file, file_digest(file)))
    top = folder / "top.tar"
    top.write_bytes(random_layer("b-top", MIB))
    made = {"b": write_archive(folder / "b.tar", layers, "bench/b:base"),
            "b-top": write_archive(folder / "b-top.tar", layers + [(top, file_digest(top))],
                                   "bench/b:top")}
    for file, _ in layers:
        file.unlink()
    top.unlink()
    return made


def images(folder, say):
    """Name to description; made when `folder` has them not yet."""
    made = describe(pathlib.Path(folder) / MADE, say)
    for image in made.values():
        image["path"] = os.path.join(folder, MADE, image["path"])
    return made


def describe(folder, say):
    listing = folder / "images.json"
    if listing.exists():
        return json.loads(listing.read_text())
    say(f"making the images below {folder}: half a minute, once")
    part = folder.with_name(MADE + ".part")  # renamed when whole
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    made = make_layouts(part, "a", 8, 64 * MIB)
    made |= make_archives(part)
    made |= make_layouts(part, "c", 60, 2048)
    (part / listing.name).write_text(json.dumps(made, indent=1))
    part.rename(folder)
    return made

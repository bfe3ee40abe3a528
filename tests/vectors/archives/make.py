#!/usr/bin/env python3
"""Writes the image corpus into DIR: good images, and images that are wrong in one way each.

usage: make.py DIR

Deterministic: the same bytes on every run, so that expected.tsv can name digests. Only the standard
library is used. Sources are relative to DIR, as expected.tsv names them.
"""
import bz2
import hashlib
import io
import json
import lzma
import os
import struct
import sys
import tarfile
import zlib

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PLAIN_LAYER = "application/vnd.oci.image.layer.v1.tar"
REF = "org.opencontainers.image.ref.name"


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def dumps(value):
    return json.dumps(value, separators=(",", ":")).encode()


def descriptor(media_type, data, **more):
    return {"mediaType": media_type, "digest": sha(data), "size": len(data), **more}


def rootfs_tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def gz(data):
    """A gzip file with one stored block: the same bytes with every version of zlib."""
    assert len(data) < 65536
    size = struct.pack("<HH", len(data), len(data) ^ 0xffff)
    return (b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01" + size + data +
            struct.pack("<II", zlib.crc32(data), len(data)))


class Image:
    """One image: layers, configuration, manifest; `blobs` maps digest to bytes."""

    def __init__(self, text="hello", arch="amd64", os_="linux", variant=None, layers=2):
        self.plain = [rootfs_tar({f"file{i}": f"{text} {i}\n".encode() * 50}) for i in range(layers)]
        self.layers = [gz(data) for data in self.plain]
        config = {"architecture": arch, "os": os_, "config": {"Cmd": ["/bin/true"]},
                  "rootfs": {"type": "layers", "diff_ids": [sha(data) for data in self.plain]}}
        if variant:
            config["variant"] = variant
        self.platform = {"architecture": arch, "os": os_, **({"variant": variant} if variant else {})}
        self.config = dumps(config)
        self.manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                         "config": descriptor(CONFIG, self.config),
                         "layers": [descriptor(LAYER, data) for data in self.layers]}

    def seal(self):
        self.bytes = dumps(self.manifest)
        return self

    def put(self, layout):
        for data in [self.config, *self.layers, self.bytes]:
            layout.blob(data)

    def descriptor(self, **more):
        return descriptor(self.manifest.get("mediaType", MANIFEST), self.bytes, **more)

    def listed(self):
        return self.descriptor(platform=self.platform)


class Layout(dict):
    """Path to bytes."""

    def __init__(self):
        super().__init__()
        self["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'

    def blob(self, data, digest=None):
        self["blobs/sha256/" + (digest or sha(data)).split(":")[1]] = data

    def index(self, *descriptors, **more):
        self["index.json"] = dumps({"schemaVersion": 2, "manifests": list(descriptors), **more})
        return self


def layout_of(image, **more):
    layout = Layout()
    image.put(layout)
    return layout.index(image.descriptor(**more))


def write_dir(path, files):
    for name, data in files.items():
        full = os.path.join(path, name)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as out:
            out.write(data)
    os.makedirs(path, exist_ok=True)


def tar_bytes(files, prefix="", extra=(), format=tarfile.PAX_FORMAT):
    """`extra`: (TarInfo, bytes) that follow."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info, data in extra:
            info.size = len(data) if data is not None else 0
            tar.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


def member(name, type_=tarfile.REGTYPE, link="", pax=None):
    info = tarfile.TarInfo(name)
    info.type = type_
    info.linkname = link
    if pax:
        info.pax_headers = pax
    return info


def write(name, data):
    with open(name, "wb") as out:
        out.write(data)


def blob_name(data):
    return "blobs/sha256/" + sha(data).split(":")[1]


# Good images.

def good():
    image = Image().seal()
    write_dir("single", layout_of(image))
    write("single.tar", tar_bytes(layout_of(image)))
    write("dot-slash.tar", tar_bytes(layout_of(image), prefix="./"))
    write("gnu.tar", tar_bytes(layout_of(image), format=tarfile.GNU_FORMAT))
    write("ustar.tar", tar_bytes(layout_of(image), format=tarfile.USTAR_FORMAT))
    write_dir("multi", multi())
    write("multi.tar", tar_bytes(multi()))
    write_dir("nested", nested(1))
    write_dir("nested-8", nested(7))
    two = Layout()
    other = Image("other").seal()
    image.put(two)
    other.put(two)
    two.index(image.descriptor(annotations={REF: "1.0"}), other.descriptor(annotations={
        REF: "2.0", "io.containerd.image.name": "registry.example.org/app:2.0"}))
    write_dir("two", two)
    twice = layout_of(image)
    twice.index(image.descriptor(annotations={REF: "a"}), image.descriptor(annotations={REF: "b"}))
    write_dir("same-twice", twice)
    write_dir("empty-layers", layout_of(repeated_layers()))
    write_dir("no-layers", layout_of(Image(layers=0).seal()))
    plain = Image("plain")
    plain.layers = plain.plain
    plain.manifest["layers"] = [descriptor(PLAIN_LAYER, data) for data in plain.plain]
    write_dir("plain-layers", layout_of(plain.seal()))
    write_dir("artifact", layout_of(artifact()))
    write_dir("attested", attested())
    no_type = Image("no type")
    del no_type.manifest["mediaType"]
    write_dir("no-media-type", layout_of(no_type.seal()))
    linked(image)


def multi():
    layout = Layout()
    images = [Image("amd", "amd64").seal(), Image("arm", "arm64", variant="v8").seal()]
    for image in images:
        image.put(layout)
    index = dumps({"schemaVersion": 2, "mediaType": INDEX,
                   "manifests": [image.listed() for image in images]})
    layout.blob(index)
    return layout.index(descriptor(INDEX, index))


def nested(depth):
    """`depth` indexes in each other below the first one."""
    layout = Layout()
    image, other = Image("inner").seal(), Image("outer", "arm64").seal()
    image.put(layout)
    other.put(layout)
    child = image.listed()
    for level in range(depth + 1):
        children = [child, other.listed()] if level == depth else [child]
        index = dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children})
        layout.blob(index)
        child = descriptor(INDEX, index)
    return layout.index(child)


def repeated_layers():
    image = Image("repeat")
    empty = b"\0" * 1024
    image.plain = [image.plain[0], empty, empty]
    image.layers = [image.layers[0], gz(empty), gz(empty)]
    config = json.loads(image.config)
    config["rootfs"]["diff_ids"] = [sha(data) for data in image.plain]
    image.config = dumps(config)
    image.manifest["config"] = descriptor(CONFIG, image.config)
    image.manifest["layers"] = [descriptor(LAYER, data) for data in image.layers]
    return image.seal()


def artifact():
    image = Image("artifact", layers=0)
    image.config = b"{}"
    image.layers = [b"anything"]
    image.manifest["config"] = descriptor("application/vnd.oci.empty.v1+json", image.config)
    image.manifest["layers"] = [descriptor("text/plain", image.layers[0])]
    return image.seal()


def attested():
    layout = Layout()
    image, note = Image("attested").seal(), artifact()
    image.put(layout)
    note.put(layout)
    index = dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        image.listed(),
        note.descriptor(platform={"architecture": "unknown", "os": "unknown"})]})
    layout.blob(index)
    return layout.index(descriptor(INDEX, index))


def linked(image):
    layout = layout_of(image)
    blob = blob_name(image.layers[0])
    data = layout.pop(blob)
    write("hardlink.tar", tar_bytes(layout, extra=[
        (member("layer"), data), (member(blob, tarfile.LNKTYPE, "layer"), None)]))
    write("symlink.tar", tar_bytes(layout, extra=[
        (member("layer"), data), (member(blob, tarfile.SYMTYPE, "../../layer"), None)]))


# Layouts that are wrong.

def changed(name, change, image=None, **more):
    """A layout of one image after change(layout, image)."""
    image = image or Image().seal()
    layout = layout_of(image, **more)
    change(layout, image)
    write_dir(name, layout)


def with_manifest(name, change):
    """A layout whose manifest document was changed before it was hashed."""
    image = Image()
    change(image.manifest)
    image.bytes = dumps(image.manifest)
    layout = Layout()
    image.put(layout)
    write_dir(name, layout.index(descriptor(MANIFEST, image.bytes)))


def with_config(name, config, layers=2):
    image = Image(layers=layers)
    image.config = config
    image.manifest["config"] = descriptor(CONFIG, config)
    write_dir(name, layout_of(image.seal()))


def with_root(name, data):
    layout = layout_of(Image().seal())
    layout["index.json"] = data
    write_dir(name, layout)


def with_entry(name, **fields):
    image = Image().seal()
    layout = layout_of(image)
    write_dir(name, layout.index({**image.descriptor(), **fields}))


def set_key(document, *path_and_value):
    *path, key, value = path_and_value
    for part in path:
        document = document[part]
    document[key] = value


def bad_roots():
    os.makedirs("empty-dir")
    os.makedirs("docker-dir")
    write("docker-dir/manifest.json", b"[]")
    changed("no-index", lambda layout, image: layout.pop("index.json"))
    for name, data in {
        "layout-version": b'{"imageLayoutVersion":"2.0.0"}', "layout-no-version": b"{}",
        "layout-not-json": b"hello", "layout-version-number": b'{"imageLayoutVersion":1}',
    }.items():
        changed(name, lambda layout, image, data=data: layout.update({"oci-layout": data}))
    with_root("index-truncated", b'{"schemaVersion":2,"manifests":[{"mediaType"')
    with_root("index-empty-file", b"")
    with_root("index-duplicate-key", b'{"schemaVersion":2,"manifests":[],"manifests":[]}')
    with_root("index-array", b"[]")
    with_root("index-no-manifests", b'{"schemaVersion":2}')
    with_root("index-no-image", b'{"schemaVersion":2,"manifests":[]}')
    with_root("index-not-utf8", b'{"schemaVersion":2,"manifests":[],"a":"\xff\xfe"}')
    with_root("index-deep", b'{"schemaVersion":2,"manifests":' + b"[" * 1000 + b"]" * 1000 + b"}")
    with_root("index-nul", b'{"schemaVersion":2,"manifests":[],"a":"\\u0000"}')
    with_root("index-huge", b" " * (4 * 1024 * 1024 + 1))
    with_root("index-manifests-object", b'{"schemaVersion":2,"manifests":{}}')
    with_root("index-wrong-type", dumps({"schemaVersion": 2, "mediaType": MANIFEST, "manifests": []}))
    with_root("index-schema-3", dumps({"schemaVersion": 3, "manifests": []}))
    with_root("index-513", dumps({"schemaVersion": 2, "manifests": [
        descriptor(MANIFEST, b"%d" % i) for i in range(513)]}))


def bad_entries():
    digest = Image().seal().descriptor()["digest"]
    with_entry("digest-upper", digest=digest.upper().replace("SHA", "sha"))
    with_entry("digest-traversal", digest="sha256:../../../../../../etc/passwd")
    with_entry("digest-slash", digest=digest[:-1] + "/")
    with_entry("digest-long", digest=digest + "0")
    with_entry("digest-md5", digest="md5:" + "0" * 32)
    with_entry("digest-sha512", digest="sha512:" + "0" * 128)
    with_entry("digest-escape", digest="\x1b[2Jsha256:\n\x07")
    with_entry("digest-number", digest=5)
    with_entry("size-negative", size=-1)
    with_entry("size-string", size="5")
    with_entry("size-fraction", size=1.5)
    with_entry("size-larger", size=100000)
    with_entry("size-smaller", size=3)
    with_entry("size-zero", size=0)
    with_entry("type-text", mediaType="text/plain")
    with_entry("type-crlf", mediaType="a/b\r\nX-Evil: 1")
    with_entry("type-empty", mediaType="")
    with_entry("type-schema1", mediaType="application/vnd.docker.distribution.manifest.v1+prettyjws")
    with_entry("type-index", mediaType=INDEX)
    with_entry("annotation-number", annotations={REF: 5})
    layout = layout_of(Image().seal())
    layout["index.json"] = layout["index.json"].replace(b'"size":', b'"size":9999999999999999999,"x":')
    write_dir("size-overflow", layout)


def bad_manifests():
    def corrupt(layout, image):
        layout[blob_name(image.bytes)] = image.bytes.replace(b"sha256", b"sha257")
    changed("manifest-missing", lambda layout, image: layout.pop(blob_name(image.bytes)))
    changed("manifest-corrupt", corrupt)
    changed("manifest-truncated", lambda layout, image: layout.update(
        {blob_name(image.bytes): image.bytes[:-10]}))
    for name, edits in {
        "manifest-type-differs": [("mediaType", INDEX)],
        "manifest-both": [("manifests", [])],
        "manifest-schema-1": [("schemaVersion", 1)],
        "manifest-schema-string": [("schemaVersion", "2")],
        "manifest-config-null": [("config", None)],
        "manifest-layers-null": [("layers", None)],
        "manifest-layers-string": [("layers", "none")],
        "manifest-layer-digest": [("layers", 1, "digest", "sha256:" + "g" * 64)],
        "manifest-layer-size": [("layers", 0, "size", -5)],
        "manifest-layer-null": [("layers", 0, None)],
        "manifest-config-is-manifest": [("config", "mediaType", MANIFEST)],
    }.items():
        with_manifest(name, lambda doc, edits=edits: [set_key(doc, *edit) for edit in edits])
    with_manifest("manifest-no-schema", lambda doc: doc.pop("schemaVersion"))
    with_manifest("manifest-1001-layers", lambda doc: doc.update(layers=doc["layers"][:1] * 1001))
    with_manifest("manifest-huge", lambda doc: doc.update(x="y" * (4 * 1024 * 1024)))
    big = dumps({"schemaVersion": 2, "manifests": [], "x": 1})
    image = Image().seal()
    layout = layout_of(image)
    layout.blob(big)
    layout.index(descriptor(MANIFEST, big))
    write_dir("manifest-is-index", layout)
    layout = layout_of(image)
    layout.blob(b"not json at all")
    layout.index(descriptor(MANIFEST, b"not json at all"))
    write_dir("manifest-not-json", layout)


def bad_configs():
    def drop(layout, image):
        layout.pop(blob_name(image.config))

    def corrupt(layout, image):
        layout[blob_name(image.config)] = image.config.replace(b"amd64", b"amd46")
    changed("config-missing", drop)
    changed("config-corrupt", corrupt)
    with_config("config-not-json", b"hello")
    with_config("config-list", b"[]")
    with_config("config-no-rootfs", b'{"os":"linux","architecture":"amd64"}')
    with_config("config-one-diff-id", dumps({"rootfs": {"diff_ids": [sha(b"x")]}}))
    with_config("config-bad-diff-id", dumps({"rootfs": {"diff_ids": [sha(b"x"), "sha256:../.."]}}))
    with_config("config-huge", b" " * (8 * 1024 * 1024 + 1))
    with_config("config-os-number", dumps({"os": 5, "rootfs": {"diff_ids": []}}))


def bad_layers():
    def replace(data):
        return lambda layout, image: layout.update({blob_name(image.layers[1]): data(image.layers[1])})
    changed("layer-missing", lambda layout, image: layout.pop(blob_name(image.layers[1])))
    changed("layer-truncated", replace(lambda data: data[:-1]))
    changed("layer-longer", replace(lambda data: data + b"\0"))
    changed("layer-empty", replace(lambda data: b""))
    changed("layer-corrupt", replace(lambda data: data[:-1] + bytes([data[-1] ^ 1])))
    with_manifest("layer-size-lies", lambda doc: set_key(doc, "layers", 0, "size", 7))


def bad_indexes():
    def index_of(name, children, blobs=()):
        layout = layout_of(Image().seal())
        index = dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children})
        for data in [index, *blobs]:
            layout.blob(data)
        write_dir(name, layout.index(descriptor(INDEX, index)))
    image, other = Image().seal(), Image("absent", "arm64").seal()
    index_of("child-missing", [image.listed(), other.listed()])
    index_of("child-not-image", [image.listed(), descriptor("text/plain", b"hello")], [b"hello"])
    index_of("child-none", [])
    index_of("child-two-ways", [image.listed(), {
        **image.listed(), "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}])
    index_of("child-513", [descriptor(MANIFEST, b"%d" % i) for i in range(513)])
    index_of("child-both", [{**image.listed(), "size": "many"}])
    write_dir("nested-9", nested(8))
    two = Layout()
    image.put(two)
    other.put(two)
    two.index(image.descriptor(annotations={REF: "1.0"}), other.descriptor(annotations={REF: "1.0"}))
    write_dir("two-same-name", two)
    many = Layout()
    images = [Image(f"number {i}").seal() for i in range(7)]
    for one in images:
        one.put(many)
    many.index(*[one.descriptor(annotations={REF: f"v{i}"}) for i, one in enumerate(images)])
    write_dir("seven", many)


def bad_links():
    image = Image().seal()
    layer = blob_name(image.layers[0])
    write("outside", image.layers[0])
    changed("link-blob", lambda layout, image: layout.pop(layer))
    os.symlink("../../../outside", "link-blob/" + layer)
    changed("link-index", lambda layout, image: layout.pop("index.json"))
    os.symlink("../single/index.json", "link-index/index.json")
    write_dir("link-directory", {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
                                 "index.json": layout_of(image)["index.json"]})
    os.symlink("../single/blobs", "link-directory/blobs")
    changed("fifo-index", lambda layout, image: layout.pop("index.json"))
    os.mkfifo("fifo-index/index.json")
    changed("directory-index", lambda layout, image: layout.pop("index.json"))
    os.makedirs("directory-index/index.json")
    changed("directory-blob", lambda layout, image: layout.pop(layer))
    os.makedirs("directory-blob/" + layer)
    os.mkfifo("fifo")
    os.symlink("single", "link-to-single")


# Archives that are wrong.

def bad_archives():
    image = Image().seal()
    layout = layout_of(image)
    data = tar_bytes(layout)
    blob = blob_name(image.layers[0])
    write("gzip.tar", gz(data))
    write("xz.tar", lzma.compress(data))
    write("bzip2.tar", bz2.compress(data))
    write("zstd.tar", b"\x28\xb5\x2f\xfd" + data)
    write("zero-bytes.tar", b"")
    write("zeros.tar", b"\0" * 10240)
    write("text.tar", b"this is not an archive\n" * 100)
    write("zip.tar", b"PK\x03\x04" + b"\0" * 600)
    write("cpio.tar", b"070701" + b"0" * 104 + b"a\0\0\0" + b"\0" * 512)
    header = bytearray(data)
    header[600] ^= 1
    write("cut-in-data.tar", data[:data.index(image.layers[1]) + 20])
    write("cut-in-header.tar", data[:512 + 300])
    broken = bytearray(data)
    broken[0] ^= 1
    write("bad-checksum.tar", bytes(broken))
    write("cut-at-member.tar", tar_bytes({"oci-layout": layout["oci-layout"]})[:1024])
    for name, extra in {
        "climbs": [(member("../evil"), b"x")],
        "climbs-inside": [(member("a/../../evil"), b"x")],
        "climbs-back": [(member("blobs/../index2.json"), b"x")],
        "absolute": [(member("/etc/cron.d/evil"), b"x")],
        "twice": [(member("index.json"), b"{}")],
        "twice-spelled": [(member("./index.json"), b"{}")],
        "twice-link": [(member("oci-layout", tarfile.SYMTYPE, "index.json"), None)],
        "long-name": [(member("n" * 2000), b"x")],
        "escape-name": [(member("\x1b[31m../red"), b"x")],
    }.items():
        write(name + ".tar", tar_bytes(layout, extra=extra))
    less = dict(layout)
    less.pop(blob)
    for name, extra in {
        "blob-link-out": [(member(blob, tarfile.SYMTYPE, "../../../outside"), None)],
        "blob-link-absolute": [(member(blob, tarfile.SYMTYPE, "/etc/passwd"), None)],
        "blob-link-dangling": [(member(blob, tarfile.SYMTYPE, "gone"), None)],
        "blob-link-self": [(member(blob, tarfile.SYMTYPE, blob.split("/")[-1]), None)],
        "blob-hardlink-out": [(member(blob, tarfile.LNKTYPE, "../outside"), None)],
        "blob-hardlink-dangling": [(member(blob, tarfile.LNKTYPE, "gone"), None)],
        "blob-device": [(member(blob, tarfile.CHRTYPE), None)],
        "blob-block-device": [(member(blob, tarfile.BLKTYPE), None)],
        "blob-fifo": [(member(blob, tarfile.FIFOTYPE), None)],
        "blob-directory": [(member(blob, tarfile.DIRTYPE), None)],
        "blob-sparse": [(member(blob, pax={
            "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": blob,
            "GNU.sparse.realsize": "1048576"}), b"1\n1048064\n512\n" + b"\0" * 499 + b"x" * 512)],
    }.items():
        write(name + ".tar", tar_bytes(less, extra=extra))
    sizes(less, blob, image.layers[0])
    write("not-a-layout.tar", tar_bytes({"hello": b"world"}))
    write("many.tar", b"".join(
        member(f"m{i}").tobuf(tarfile.USTAR_FORMAT) for i in range(65537)) + b"\0" * 1024)


def sizes(files, blob, data):
    """Members whose size is not what follows."""
    base = tar_bytes(files).rstrip(b"\0")
    base += b"\0" * (-len(base) % 512)
    info = member(blob)
    info.size = 1 << 40
    write("size-past-end.tar", base + info.tobuf(tarfile.GNU_FORMAT) + data + b"\0" * 2048)
    for name, size in {"pax-size-negative": "-5", "pax-size-huge": "9223372036854775807",
                       "pax-size-word": "many", "pax-size-overflow": "99999999999999999999"}.items():
        info = member(blob, pax={"size": size})
        info.size = len(data)
        padded = data + b"\0" * (-len(data) % 512)
        write(name + ".tar", base + info.tobuf(tarfile.PAX_FORMAT) + padded + b"\0" * 1024)


# Docker archives.

class Archive:
    def __init__(self, text="docker", tags=("app:1",), layers=2):
        image = Image(text, layers=layers)
        self.plain = image.plain
        self.config = image.config
        self.tags = list(tags)
        self.hex = [sha(data)[7:] for data in self.plain]
        self.config_hex = sha(self.config)[7:]

    def entry(self, config, layers):
        return {"Config": config, "RepoTags": self.tags, "Layers": layers}

    def old(self):
        """ID/layer.tar, as Docker wrote until 24; a repeated layer is a link."""
        files = {f"{self.config_hex}.json": self.config}
        for i, data in enumerate(self.plain):
            files[f"{i:064x}/layer.tar"] = data
        files["manifest.json"] = dumps([self.entry(
            f"{self.config_hex}.json", [f"{i:064x}/layer.tar" for i in range(len(self.plain))])])
        return files

    def new(self):
        """blobs/sha256/…, as Docker writes from 25 on; manifest.json comes last."""
        files = {f"blobs/sha256/{self.config_hex}": self.config}
        for hex_, data in zip(self.hex, self.plain):
            files[f"blobs/sha256/{hex_}"] = data
        files["index.json"] = b'{"schemaVersion":2,"manifests":[]}'
        files["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
        files["manifest.json"] = dumps([self.entry(
            f"blobs/sha256/{self.config_hex}", [f"blobs/sha256/{hex_}" for hex_ in self.hex])])
        return files

    def podman(self):
        """DIFFID.tar with ID/layer.tar links to it; manifest.json names the former."""
        files = {f"{hex_}.tar": data for hex_, data in zip(self.hex, self.plain)}
        files[f"{self.config_hex}.json"] = self.config
        files["manifest.json"] = dumps([self.entry(
            f"{self.config_hex}.json", [f"{hex_}.tar" for hex_ in self.hex])])
        links = [(member(f"{i:064x}/layer.tar", tarfile.SYMTYPE, f"../{hex_}.tar"), None)
                 for i, hex_ in enumerate(self.hex)]
        return files, links


def good_docker():
    archive = Archive()
    write("docker-old.tar", tar_bytes(archive.old()))
    write("docker-new.tar", tar_bytes(archive.new()))
    files, links = archive.podman()
    write("docker-podman.tar", tar_bytes(files, extra=links))
    files["manifest.json"] = dumps([archive.entry(
        f"{archive.config_hex}.json", [f"{i:064x}/layer.tar" for i in range(2)])])
    write("docker-links.tar", tar_bytes(files, extra=links))
    other = Archive("other", ["registry.example.org/team/app:2", "other:latest"])
    both = {**archive.old(), **other.new()}
    both["manifest.json"] = dumps(
        json.loads(archive.old()["manifest.json"]) + json.loads(other.new()["manifest.json"]))
    write("docker-two.tar", tar_bytes(both))
    write("docker-no-layers.tar", tar_bytes(Archive(layers=0).old()))
    named = archive.old()
    named["config.json"] = named.pop(f"{archive.config_hex}.json")
    set_docker(named, "Config", "config.json")
    write("docker-config-name.tar", tar_bytes(named))
    squeezed = archive.new()
    packed = gz(archive.plain[0])
    squeezed[blob_name(packed)] = packed
    set_docker(squeezed, "Layers", [blob_name(packed), f"blobs/sha256/{archive.hex[1]}"])
    write("docker-gzip-layer.tar", tar_bytes(squeezed))
    frame = b"\x28\xb5\x2f\xfd\x00\x58\x31\x00\x00hello\n"
    squeezed[blob_name(frame)] = frame
    set_docker(squeezed, "Layers", [blob_name(frame), f"blobs/sha256/{archive.hex[1]}"])
    write("docker-zstd-layer.tar", tar_bytes(squeezed))
    empty = Archive("empties")
    empty.plain = [empty.plain[0], b"\0" * 1024, b"\0" * 1024]
    config = json.loads(empty.config)
    config["rootfs"]["diff_ids"] = [sha(data) for data in empty.plain]
    empty.config = dumps(config)
    empty.config_hex, empty.hex = sha(empty.config)[7:], [sha(data)[7:] for data in empty.plain]
    write("docker-empty-layers.tar", tar_bytes(empty.new()))


def set_docker(files, key, value):
    document = json.loads(files["manifest.json"])
    document[0][key] = value
    files["manifest.json"] = dumps(document)


def bad_docker():
    archive = Archive()
    first, second = archive.hex
    config = f"blobs/sha256/{archive.config_hex}"

    def variant(name, change, extra=()):
        files = archive.new()
        change(files)
        write(f"docker-{name}.tar", tar_bytes(files, extra=extra))

    def layer(value):
        return lambda files: set_docker(files, "Layers", [value, f"blobs/sha256/{second}"])
    variant("no-manifest", lambda files: files.pop("manifest.json"))
    write("docker-nothing.tar", tar_bytes({"hello": b"world"}))
    for name, data in {
        "object": b"{}", "empty-list": b"[]", "not-json": b"<html>", "number-list": b"[5]",
        "config-number": b'[{"Config":5,"Layers":[]}]', "config-none": b'[{"Layers":[]}]',
        "layers-object": b'[{"Config":"a","Layers":{}}]', "layers-number": b'[{"Config":"a","Layers":[5]}]',
        "many-images": dumps([{"Config": "a"}] * 1025), "deep": b"[" * 500 + b"]" * 500,
        "huge": b" " * (8 * 1024 * 1024 + 1),
    }.items():
        variant(name, lambda files, data=data: files.update({"manifest.json": data}))
    variant("config-missing", lambda files: files.pop(config))
    variant("config-corrupt", lambda files: files.update({config: files[config] + b" "}))
    variant("config-not-json", lambda files: (
        files.update({"c": b"hello"}), set_docker(files, "Config", "c")))
    variant("config-outside", lambda files: set_docker(files, "Config", "../outside"))
    variant("one-layer", lambda files: set_docker(files, "Layers", [f"blobs/sha256/{first}"]))
    variant("no-layers-key", lambda files: set_docker(files, "Layers", None))
    variant("layer-missing", lambda files: files.pop(f"blobs/sha256/{first}"))
    variant("layer-outside", layer("../../etc/passwd"))
    variant("layer-absolute", layer("/etc/passwd"))
    variant("layer-dots", layer("a/../b"))
    variant("layer-empty-name", layer(""))
    variant("layer-escape", layer("\x1b[2J\u202ename"))
    variant("layer-link-out", layer("l"), [(member("l", tarfile.SYMTYPE, "../outside"), None)])
    variant("layer-loop", layer("a"), [
        (member("a", tarfile.SYMTYPE, "b"), None), (member("b", tarfile.SYMTYPE, "a"), None)])
    variant("layer-fifo", layer("f"), [(member("f", tarfile.FIFOTYPE), None)])
    variant("layer-corrupt", lambda files: files.update(
        {f"blobs/sha256/{first}": files[f"blobs/sha256/{first}"] + b"\0" * 512}))
    variant("layer-other-content", lambda files: (
        files.update({"l": b"other"}), layer("l")(files)))
    variant("layer-zero-bytes", lambda files: (files.update({"l": b""}), layer("l")(files)))
    variant("layers-swapped", lambda files: set_docker(
        files, "Layers", [f"blobs/sha256/{second}", f"blobs/sha256/{first}"]))
    variant("layer-xz", lambda files: (files.update({"l": lzma.compress(b"x")}), layer("l")(files)))
    packed = gz(archive.plain[0])
    variant("gzip-layer-corrupt", lambda files: (
        files.update({blob_name(packed): packed[:-1] + b"\x7f"}), layer(blob_name(packed))(files)))
    same = {**archive.old(), **Archive("same name").new()}
    same["manifest.json"] = dumps(json.loads(archive.old()["manifest.json"]) +
                                  json.loads(Archive("same name").new()["manifest.json"]))
    write("docker-same-tag.tar", tar_bytes(same))
    nameless = {**archive.old(), **Archive("nameless").new()}
    nameless["manifest.json"] = dumps([
        {"Config": f"{archive.config_hex}.json", "RepoTags": None, "Layers": []},
        {"Config": "b", "RepoTags": [], "Layers": []}])
    write("docker-nameless.tar", tar_bytes(nameless))


def bomb():
    """16 MiB of zeros in 106 KB of gzip: fixed codes by hand, the same with every version of zlib."""
    count = 16 * 1024 * 1024 // 258
    bits = "110" + "00110000" + ("11000101" + "00000") * count + "0000000"
    bits += "0" * (-len(bits) % 8)
    data = bytes(int(bits[i:i + 8][::-1], 2) for i in range(0, len(bits), 8))
    plain = b"\0" * (1 + 258 * count)
    assert zlib.decompress(data, -15) == plain
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + data + struct.pack("<II", zlib.crc32(plain), len(plain))


def shapes():
    """Each shape of a Docker archive: its files, what follows them, and where its first layer is."""
    archive = Archive()
    files, links = archive.podman()
    yield "old", archive, archive.old(), [], f"{0:064x}/layer.tar"
    yield "new", archive, archive.new(), [], f"blobs/sha256/{archive.hex[0]}"
    yield "podman", archive, files, links, f"{archive.hex[0]}.tar"


def hostile_docker():
    for shape, archive, files, links, layer in shapes():
        whole = tar_bytes(files, extra=links)
        name = f"docker-{shape}-"
        for what, extra in {
            "climbs": [(member("../evil"), b"x")],
            "absolute": [(member("/etc/cron.d/evil"), b"x")],
            "twice": [(member("manifest.json"), b"[]")],
            "layer-twice": [(member(layer), archive.plain[0])],
            "layer-twice-link": [(member(layer, tarfile.SYMTYPE, "manifest.json"), None)],
        }.items():
            write(f"{name}{what}.tar", tar_bytes(files, extra=links + extra))
        less = {key: data for key, data in files.items() if key != layer}
        write(f"{name}layer-missing.tar", tar_bytes(less, extra=links))
        for what, instead in {
            "layer-link-out": member(layer, tarfile.SYMTYPE, "../../../outside"),
            "layer-link-absolute": member(layer, tarfile.SYMTYPE, "/etc/passwd"),
            "layer-link-dangling": member(layer, tarfile.SYMTYPE, "gone"),
            "layer-link-self": member(layer, tarfile.SYMTYPE, layer.split("/")[-1]),
            "layer-hardlink-out": member(layer, tarfile.LNKTYPE, "../outside"),
            "layer-hardlink-itself": member(layer, tarfile.LNKTYPE, layer),
            "layer-device": member(layer, tarfile.CHRTYPE),
            "layer-directory": member(layer, tarfile.DIRTYPE),
        }.items():
            write(f"{name}{what}.tar", tar_bytes(less, extra=links + [(instead, None)]))
        sparse = member(layer, pax={
            "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": layer,
            "GNU.sparse.realsize": str(1 << 40)})
        write(f"{name}layer-sparse.tar", tar_bytes(less, extra=links + [
            (sparse, b"1\n1048064\n512\n" + b"\0" * 499 + b"x" * 512)]))
        lying_sizes(name, less, links, layer, archive.plain[0])
        cut = whole.index(archive.plain[1])
        write(f"{name}cut-in-layer.tar", whole[:cut + 700])
        write(f"{name}cut-in-header.tar", whole[:cut - 300])
        docker_configs(name, archive, files, links)
        docker_layers(name, files, links, layer)


def lying_sizes(name, less, links, layer, data):
    base = tar_bytes(less, extra=links).rstrip(b"\0")
    base += b"\0" * (-len(base) % 512)
    info = member(layer)
    info.size = 1 << 40
    write(f"{name}size-past-end.tar", base + info.tobuf(tarfile.GNU_FORMAT) + data + b"\0" * 2048)
    for size in ["-5", "9223372036854775807", "99999999999999999999", "many"]:
        info = member(layer, pax={"size": size})
        info.size = len(data)
        padded = data + b"\0" * (-len(data) % 512)
        write(f"{name}size-{size}.tar",
              base + info.tobuf(tarfile.PAX_FORMAT) + padded + b"\0" * 1024)


def docker_configs(name, archive, files, links):
    """Configurations that are not what they are called, or too much."""
    path = json.loads(files["manifest.json"])[0]["Config"]
    document = json.loads(archive.config)

    def variant(what, config):
        changed = {key: data for key, data in files.items() if key != path}
        changed["config"] = config
        set_docker(changed, "Config", "config")
        write(f"{name}{what}.tar", tar_bytes(changed, extra=links))
    variant("config-huge", b" " * (8 * 1024 * 1024 + 1))
    variant("config-list", b"[]")
    variant("config-too-few", dumps({**document, "rootfs": {"diff_ids": [sha(b"")]}}))
    variant("config-no-rootfs", dumps({"os": "linux"}))
    variant("config-diff-id", dumps({**document, "rootfs": {"diff_ids": ["sha256:../../x"] * 2}}))
    variant("config-deep", b'{"rootfs":' + b"[" * 500 + b"]" * 500 + b"}")
    renamed = dict(files)
    renamed[path] = archive.config + b" "
    write(f"{name}config-corrupt.tar", tar_bytes(renamed, extra=links))
    many = dict(files)
    first = json.loads(files["manifest.json"])[0]["Layers"][0]
    set_docker(many, "Layers", [first] * 1001)
    write(f"{name}1001-layers.tar", tar_bytes(many, extra=links))
    set_docker(many, "Layers", [path, path])
    write(f"{name}layer-is-config.tar", tar_bytes(many, extra=links))


def docker_layers(name, files, links, layer):
    """Layers that would grow when somebody unpacked them: nobody does."""
    second = json.loads(files["manifest.json"])[0]["Layers"][1]
    for what, data in {
        "gzip-bomb": bomb(),
        "zstd-head": b"\x28\xb5\x2f\xfd" + b"\xff" * 100,
        "bzip2-layer": bz2.compress(b"x" * 1000),
        "xz-layer": lzma.compress(b"x" * 1000),
    }.items():
        changed = {key: bytes_ for key, bytes_ in files.items() if key != layer}
        changed["packed"] = data
        set_docker(changed, "Layers", ["packed", second])
        write(f"{name}{what}.tar", tar_bytes(changed, extra=links))


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    os.chdir(sys.argv[1])
    good()
    bad_roots()
    bad_entries()
    bad_manifests()
    bad_configs()
    bad_layers()
    bad_indexes()
    bad_links()
    bad_archives()
    good_docker()
    bad_docker()
    hostile_docker()


if __name__ == "__main__":
    main()

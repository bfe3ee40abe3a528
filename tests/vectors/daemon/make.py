#!/usr/bin/env -S python3 -B
"""Writes what daemons answer into DIR: for each NAME, NAME.json (of GET images/…/json), NAME.tar (of
GET images/…/get) and NAME.digest (what a push must end with; for bad ones, none).

usage: make.py DIR

Images are those of ../archives/make.py; the same bytes on every run.
"""
import importlib.util
import os
import sys

spec = importlib.util.spec_from_file_location(
    "archives", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../archives/make.py"))
lib = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lib)

GRAPH_DIGEST = "sha256:e83544a19a047e5d21af89d327a03b253fa4f62a7f717653654825061f5f4e61"


def answer(image, id_, **more):
    """As dockerd 20.10 to 28 and podman write it, without what nobody reads."""
    return {"Id": id_, "RepoTags": ["app:1"], "RepoDigests": [], "Architecture": "amd64", "Os": "linux",
            "Size": 600000, "RootFS": {"Type": "layers",
                                       "Layers": [lib.sha(data) for data in image.plain]}, **more}


def write(name, inspect, archive, digest=None):
    for suffix, data in (("json", lib.dumps(inspect)), ("tar", archive),
                         ("digest", digest.encode() if digest else None)):
        if data is not None:
            with open(f"{name}.{suffix}", "wb") as out:
                out.write(data)


def listing(config, layers):
    return lib.dumps([{"Config": lib.blob_name(config), "RepoTags": None,
                       "Layers": [lib.blob_name(data) for data in layers]}])


def graph():
    archive = lib.Archive()
    inspect = answer(archive, lib.sha(archive.config))
    files, links = archive.podman()
    write("old", inspect, lib.tar_bytes(archive.old()), GRAPH_DIGEST)
    write("new", inspect, lib.tar_bytes(archive.new()), GRAPH_DIGEST)
    write("podman", inspect, lib.tar_bytes(files, extra=links), GRAPH_DIGEST)
    other = lib.Archive("other")
    write("other-config", inspect, lib.tar_bytes(other.old()))
    swapped = answer(archive, lib.sha(archive.config))
    swapped["RootFS"]["Layers"].reverse()
    write("other-layers", swapped, lib.tar_bytes(archive.old()))
    fewer = answer(archive, lib.sha(archive.config))
    fewer["RootFS"]["Layers"].pop()
    write("more-layers", fewer, lib.tar_bytes(archive.old()))
    corrupt = archive.old()
    corrupt[f"{1:064x}/layer.tar"] = lib.rootfs_tar({"other": b"content"})
    write("corrupt-layer", inspect, lib.tar_bytes(corrupt))


def kept_archive(image, *others, root=None):
    layout = lib.layout_of(image)
    for data in others:
        layout.blob(data)
    if root:
        layout.blob(root)
    layout["manifest.json"] = listing(image.config, image.layers)
    return lib.tar_bytes(layout)


def kept():
    image = lib.Image("kept").seal()
    id_ = lib.sha(image.bytes)
    said = {"Descriptor": {"mediaType": lib.MANIFEST, "digest": id_, "size": len(image.bytes)}}
    archive = kept_archive(image)
    write("kept", answer(image, id_, **said), archive, id_)
    write("kept-named", answer(image, id_, RepoDigests=[f"app@{id_}"]), archive, id_)
    write("kept-silent", answer(image, id_), archive, id_)
    arm = lib.Image("kept", arch="arm64").seal()
    index = lib.dumps({"schemaVersion": 2, "mediaType": lib.INDEX,
                       "manifests": [arm.listed(), image.listed()]})
    whole = {"Descriptor": {"mediaType": lib.INDEX, "digest": lib.sha(index), "size": len(index)}}
    write("kept-index", answer(image, lib.sha(index), **whole), kept_archive(image, root=index), id_)
    write("kept-index-whole", answer(image, lib.sha(index), **whole),
          kept_archive(image, arm.config, arm.bytes, *arm.layers, root=index), id_)
    plain = lib.Archive()
    manifest = lib.dumps({"schemaVersion": 2, "mediaType": lib.MANIFEST,
                          "config": lib.descriptor(lib.CONFIG, plain.config),
                          "layers": [lib.descriptor(lib.PLAIN_LAYER, data) for data in plain.plain]})
    files = plain.new()
    files[lib.blob_name(manifest)] = manifest
    write("kept-plain", answer(plain, lib.sha(manifest), Descriptor={
        "mediaType": lib.MANIFEST, "digest": lib.sha(manifest), "size": len(manifest)}),
        lib.tar_bytes(files), GRAPH_DIGEST)
    other = lib.Image("other").seal()
    layout = lib.layout_of(image)
    layout.blob(other.bytes)
    layout["manifest.json"] = listing(image.config, image.layers)
    write("kept-other", answer(image, lib.sha(other.bytes), Descriptor={
        "mediaType": lib.MANIFEST, "digest": lib.sha(other.bytes), "size": len(other.bytes)}),
        lib.tar_bytes(layout))
    layout = lib.layout_of(image)
    layout.blob(other.bytes, id_)
    layout["manifest.json"] = listing(image.config, image.layers)
    write("kept-corrupt", answer(image, id_, **said), lib.tar_bytes(layout))


os.makedirs(sys.argv[1], exist_ok=True)
os.chdir(sys.argv[1])
graph()
kept()

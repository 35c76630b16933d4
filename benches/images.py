"""Images for a bench: made on the spot, or an OCI layout that somebody has; and how they come into a registry.

Invariants. What is made depends on the arguments alone. They are pushed by plain HTTP, so that no tool of the contest
has a hand in what the others then read.

Not here: what is done with them.
"""

import dataclasses
import hashlib
import http.client
import io
import json
import pathlib
import random
import tarfile
import zlib

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclasses.dataclass(frozen=True)
class Layout:
    """An OCI layout whose images have tags; image indexes are left out."""

    folder: pathlib.Path
    images: tuple

    @staticmethod
    def open(folder):
        folder = pathlib.Path(folder)
        entries = json.loads((folder / "index.json").read_text())["manifests"]
        tag = "org.opencontainers.image.ref.name"
        named = [(entry["annotations"][tag], entry) for entry in entries if tag in entry.get("annotations", {})]
        images = tuple((name, entry) for name, entry in named if "index" not in entry["mediaType"])
        if not images:
            raise SystemExit(f"{folder}: there is no image with a tag")
        return Layout(folder, images)

    @property
    def tags(self):
        return [tag for tag, _ in self.images]

    def blob(self, digest):
        return self.folder / "blobs" / digest.replace(":", "/", 1)

    def manifest(self, entry):
        return json.loads(self.blob(entry["digest"]).read_bytes())

    def blobs(self):
        """All blobs of the images, each once: digest and size."""
        found = {}
        for _, entry in self.images:
            manifest = self.manifest(entry)
            for descriptor in [manifest["config"], *manifest["layers"]]:
                found[descriptor["digest"]] = descriptor["size"]
        return found

    def counted_by_image(self):
        """The bytes of all layers, counted once for each image that has them."""
        return sum(layer["size"] for _, entry in self.images for layer in self.manifest(entry)["layers"])


def push(layout, host, prefix="bench"):
    """Brings all images of a layout into a registry, as HOST/PREFIX/TAG:1; says their names without the host."""
    connection, there = http.client.HTTPConnection(host), {}
    for tag, entry in layout.images:
        repository = f"{prefix}/{tag}"
        manifest = layout.manifest(entry)
        for descriptor in [manifest["config"], *manifest["layers"]]:
            digest = descriptor["digest"]
            place = mount(connection, repository, digest, there.setdefault(digest, repository))
            if place is not None:
                with open(layout.blob(digest), "rb") as content:
                    joint = "&" if "?" in place else "?"
                    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(descriptor["size"])}
                    ask(connection, "PUT", f"{place}{joint}digest={digest}", content, headers, 201)
        body = layout.blob(entry["digest"]).read_bytes()
        ask(connection, "PUT", f"/v2/{repository}/manifests/1", body, {"Content-Type": entry["mediaType"]}, 201)
    return [f"{prefix}/{tag}:1" for tag in layout.tags]


def mount(connection, repository, digest, from_repository):
    """Mounts a blob, or opens an upload and says where it goes."""
    query = "" if from_repository == repository else f"?mount={digest}&from={from_repository}"
    answer = ask(connection, "POST", f"/v2/{repository}/blobs/uploads/{query}", None, {"Content-Length": "0"}, 201, 202)
    return None if answer.status == 201 else answer.headers["Location"].removeprefix(f"http://{connection.host}:{connection.port}")


def ask(connection, method, path, body, headers, *wanted):
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status not in wanted:
        raise SystemExit(f"{method} {path}: {answer.status} {said[:300]}")
    return answer


class Maker:
    """Writes an OCI layout image by image."""

    def __init__(self, folder):
        self.folder, self.entries = pathlib.Path(folder), []
        (self.folder / "blobs/sha256").mkdir(parents=True)

    def blob(self, content, kind):
        name = hashlib.sha256(content).hexdigest()
        (self.folder / "blobs/sha256" / name).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{name}", "size": len(content)}

    def layer(self, seed, plain_bytes, file_bytes):
        """A layer of files that compress by about half, as programs do: its descriptor and diff id."""
        dice, tar = random.Random(seed), io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as files:
            for number in range(max(1, plain_bytes // file_bytes)):
                content = dice.randbytes(min(file_bytes, plain_bytes) // 2).hex().encode()
                entry = tarfile.TarInfo(f"opt/{seed}/{number:05}")
                entry.size = len(content)
                files.addfile(entry, io.BytesIO(content))
        plain = tar.getvalue()
        # Huffman codes alone: a gzip stream like any other to those who carry it, and made in a fraction of the time.
        packer = zlib.compressobj(1, zlib.DEFLATED, 31, 9, zlib.Z_HUFFMAN_ONLY)
        return self.blob(packer.compress(plain) + packer.flush(), LAYER), f"sha256:{hashlib.sha256(plain).hexdigest()}"

    def small(self, name):
        """A layer that is hardly anything: its descriptor and diff id."""
        content = f"{name}\n".encode()
        return self.blob(content, LAYER.removesuffix("+gzip")), f"sha256:{hashlib.sha256(content).hexdigest()}"

    def image(self, tag, layers):
        rootfs = {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]}
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": {"name": tag}}, "rootfs": rootfs})
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(config.encode(), CONFIG),
            "layers": [descriptor for descriptor, _ in layers],
        }
        entry = self.blob(json.dumps(manifest).encode(), MANIFEST)
        self.entries.append(entry | {"annotations": {"org.opencontainers.image.ref.name": tag}})

    def finish(self):
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.entries}))
        return Layout.open(self.folder)


def make_some(folder):
    """About 300 MB of layers: six images on two bases."""
    maker = Maker(folder)
    bases = [maker.layer(f"base{n}", 50 << 20, 256 << 10) for n in (1, 2)]
    for number, mib in enumerate((160, 110, 90, 60, 40, 20)):
        maker.image(f"image{number}", [bases[number % 2], maker.layer(f"own{number}", mib << 20, 512 << 10)])
    return maker.finish()


def make_small(folder, count=200):
    """Many small images on one base: of each, a layer of 16 KiB is its own."""
    maker = Maker(folder)
    base = maker.layer("base", 16 << 20, 128 << 10)
    for number in range(count):
        maker.image(f"small{number:03}", [base, maker.layer(f"small{number}", 32 << 10, 8 << 10)])
    return maker.finish()

"""The next generation of the same images, given the one before: what is carried, beside what others would store of it.

Not here: the first generation alone (`replay`).
"""

import filecmp
import gzip
import hashlib
import json
import pathlib
import shutil
import subprocess

import images
import table
from lab import MIB, size_of

DEPTHS = {"patch": 0.045, "chunk": 0.155, "blob": None}
HEADER = 512


def measure(lab, layout, following, goals):
    table.title("A delta: the next generation, given the one before")
    old, new = layout.blobs(), following.blobs()
    new_bytes = sum(size for digest, size in new.items() if digest not in old)
    print(f"    new gzip blobs: {new_bytes / MIB:.1f} MiB of {sum(new.values()) / MIB:.1f} MiB")
    near, base = lab.fresh("near"), lab.fresh("base")
    sync(lab, near, f"oci:{layout.folder}", base)
    for depth, goal in DEPTHS.items():
        place, out = lab.fresh(depth), lab.fresh("out")
        made, figures = sync(lab, near, f"oci:{following.folder}", place, "--since", base, "--only", "--delta", depth)
        share = size_of(place) / new_bytes
        print(f"    ocm --delta {depth}: {size_of(place) / MIB:.2f} MiB, {share:.4f} of the new gzip blobs; depth {made['set']['depth']}", flush=True)
        print(f"      create {figures.as_text()}; {new_bytes / figures.wall / 1e6:.0f} MB/s of gzip bytes")
        _, figures = sync(lab, lab.fresh("far"), place, f"oci:{out}", "--base", base)
        same = sum(filecmp.cmp(following.blob(digest), pathlib.Path(out, "blobs", *digest.split(":")), shallow=False) for digest in new)
        print(f"      give back {figures.as_text()}; {sum(new.values()) / figures.wall / 1e6:.0f} MB/s; {same} of {len(new)} blobs bit for bit")
        if goal:
            goals.at_most(f"delta by {depth}, of the new gzip blobs", share, goal)
        lab.remove(place), lab.remove(out)
    times_alone(lab, layout, near, base, goals)
    repositories(lab, layout, following, new_bytes)
    patch_from(lab, layout, following, new_bytes)
    lab.remove(base)


def sync(lab, workspace, *arguments):
    """What a sync says, and what it took."""
    said = lab.fresh("said")
    command = [lab.tools["ocm"], "sync", "-q", "-o", "json", "--workspace", workspace, *arguments]
    figures = lab.run(["/bin/sh", "-c", 'out=$1; shift; exec "$@" > "$out"', "sh", str(said), *map(str, command)])
    return json.loads(said.read_text()), figures


def times_alone(lab, layout, near, base, goals):
    """A rebuild in which only times and owners changed."""
    touched = rebuilt(lab, layout)
    place = lab.fresh("touched")
    sync(lab, near, f"oci:{touched.folder}", place, "--since", base, "--only")
    share = size_of(place) / sum(touched.blobs().values())
    print(f"    times and owners alone: {size_of(place) / MIB:.2f} MiB, {share:.4f} of the new gzip blobs", flush=True)
    goals.at_most("rebuild of times and owners, of the new gzip blobs", share, 0.005)
    lab.remove(place), lab.remove(touched.folder)


def rebuilt(lab, layout):
    """The same images with other times and owners in every header, compressed by zlib."""
    maker, made = images.Maker(lab.fresh("rebuilt")), {}
    for tag, entry in layout.images:
        layers = [layer["digest"] for layer in layout.manifest(entry)["layers"]]
        for digest in layers:
            if digest not in made:
                tar = touch(bytearray(gzip.decompress(layout.blob(digest).read_bytes())))
                made[digest] = maker.blob(gzip.compress(tar, 6, mtime=0), images.LAYER), f"sha256:{hashlib.sha256(tar).hexdigest()}"
        maker.image(tag, [made[digest] for digest in layers])
    return maker.finish()


def touch(tar):
    """Changes times and owners of a tar in place."""
    at = 0
    while at + HEADER <= len(tar) and any(tar[at:at + HEADER]):
        tar[at + 136:at + 147] = b"%011o" % (int(tar[at + 136:at + 147], 8) + 86_400)
        tar[at + 108:at + 115] = b"%07o" % 1000
        tar[at + 148:at + 156] = b" " * 8
        tar[at + 148:at + 155] = b"%06o\0" % sum(tar[at:at + HEADER])
        size = int(tar[at + 124:at + 135], 8) if tar[at + 156] not in b"123456" else 0
        at += HEADER + -(-size // HEADER) * HEADER
    return bytes(tar)


def unpacked(lab, layout):
    """A folder with the files of each layer, once, by image and place in it: so its next generation has them too."""
    folder, seen = lab.fresh("layers"), set()
    for _, entry in layout.images:
        for number, layer in enumerate(layout.manifest(entry)["layers"]):
            if layer["digest"] in seen:
                continue
            seen.add(layer["digest"])
            place = folder / layout_name(entry) / str(number)
            place.mkdir(parents=True)
            subprocess.run(["tar", "-xzf", layout.blob(layer["digest"]), "-C", place], check=True)
    return folder


def layout_name(entry):
    return entry["annotations"]["org.opencontainers.image.ref.name"].replace("/", "-").replace(":", "-")


def repositories(lab, layout, following, new_bytes):
    """What backup tools store of the unpacked layers: the first generation, then the second one into the same repository."""
    secret = lab.fresh("secret")
    secret.write_text("bench\n")
    tools = {
        "restic": lambda place: (
            ["restic", "-q", "-r", place, "-p", secret, "init"],
            ["restic", "-q", "-r", place, "-p", secret, "--compression", "max", "backup", "."],
        ),
        "borg": lambda place: (
            ["borg", "init", "-e", "none", place],
            ["borg", "create", "-C", "zstd,6", f"{place}::{{now:%f}}", "."],
        ),
    }
    for name, commands in tools.items():
        if shutil.which(name) is None:
            print(f"    {name}: skipped, it is not installed")
            continue
        place = lab.fresh(name)
        begin, backup = commands(place)
        run(lab, begin, lab.folder)
        sizes = []
        for generation in (layout, following):
            files = unpacked(lab, generation)
            run(lab, backup, files)
            sizes.append(size_of(place))
            lab.remove(files)
        grown = sizes[1] - sizes[0]
        print(f"    {name}: {sizes[0] / MIB:.1f} MiB for the first, {grown / MIB:.2f} MiB more for the next: {grown / new_bytes:.4f}", flush=True)
        lab.remove(place)


def patch_from(lab, layout, following, new_bytes):
    """The tar of each image after its older tar, by zstd alone."""
    total, before = 0, dict(layout.images)
    for tag, entry in following.images:
        old = joined(lab, layout, before[tag]) if tag in before else None
        new, out = joined(lab, following, entry), lab.fresh("patch")
        patch = [f"--patch-from={old}"] if old else []
        subprocess.run(["zstd", "-q", "-6", "--long=31", *patch, new, "-o", out], check=True)
        total += out.stat().st_size
        for file in (old, new, out):
            if file:
                lab.remove(file)
    print(f"    zstd -6 --long=31 --patch-from, image by image: {total / MIB:.2f} MiB: {total / new_bytes:.4f}", flush=True)


def joined(lab, layout, entry):
    """The layers of an image, uncompressed, one after another."""
    path = lab.fresh("tar")
    with open(path, "wb") as out:
        for layer in layout.manifest(entry)["layers"]:
            with gzip.open(layout.blob(layer["digest"])) as content:
                shutil.copyfileobj(content, out, 1 << 20)
    return path


def run(lab, command, folder):
    environment = lab.environment | {"BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
    subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)

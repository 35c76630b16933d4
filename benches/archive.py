"""The archive itself: making, checking, reading and opening it, beside what zstd, sha256sum and cp do with the same bytes."""

import json
import pathlib
import subprocess

import images
import table
from lab import KEEP, MIB, Contestant, size_of


def measure(lab, layout, reader, goals):
    table.title("The archive")
    source = pathlib.Path(layout.folder) / "blobs"
    archive = lab.fresh("archive")
    stored = create(lab, layout, source, archive, goals)
    check(lab, archive, stored, goals)
    read(lab, archive, stored, reader, goals)
    lab.remove(archive)


def create(lab, layout, source, archive, goals):
    place = lab.fresh("made")
    ways = {
        "ocm": lambda: [lab.tools["ocm"], "sync", "-q", *KEEP, f"oci:{layout.folder}", str(place)],
        "zstd": lambda: ["/bin/sh", "-ec", f"cat '{source}'/*/* | '{lab.tools['zstd']}' -q -3 -o '{place}'"],
        "cp": lambda: [lab.tools["cp"], "-r", str(source), str(place)],
    }
    figures = lab.compete([Contestant(name, way, lambda: lab.remove(place)) for name, way in ways.items() if lab.has(name)])
    blob_bytes = size_of(source)
    table.rate("create it from a layout", {name: (blob_bytes, taken) for name, taken in figures.items()})
    lab.run([lab.tools["ocm"], "sync", "-q", *KEEP, f"oci:{layout.folder}", str(archive)])
    stored = size_of(archive)
    overhead = (stored - sum(layout.blobs().values())) / stored
    print(f"    {blob_bytes / MIB:.1f} MiB of blobs became {stored / MIB:.1f} MiB; {overhead:.3%} of it is no layer and no configuration")
    goals.at_most("archive: index and all that is not blob data, per cent", overhead * 100, 0.4)
    return stored


def check(lab, archive, stored, goals):
    files = sorted(str(path) for path in archive.glob("*.ocm.tar"))
    ways = {"ocm": lambda: [lab.tools["ocm"], "verify", "-q", str(archive)], "sha256sum": lambda: [lab.tools["sha256sum"], *files]}
    figures = lab.compete([Contestant(name, way) for name, way in ways.items() if lab.has(name)])
    table.rate("verify all of it", {name: (stored, taken) for name, taken in figures.items()})
    goals.at_least("verify: MB/s", stored / figures["ocm"].wall / 1e6, 1000)


def read(lab, archive, stored, reader, goals):
    volumes = sorted(archive.glob("*.v*.ocm.tar"))
    copy = lab.fresh("copy")
    ways = {
        "ocm": lambda: [str(reader), str(archive)],
        "cp": lambda: [lab.tools["cp"], *map(str, volumes), str(copy)],
    }
    copy.mkdir()
    figures = lab.compete([Contestant(name, way) for name, way in ways.items() if lab.has(name)])
    lab.remove(copy)
    table.rate("read all blobs, checked, from front to back", {name: (stored, taken) for name, taken in figures.items()})
    opened = json.loads(subprocess.run([str(reader), str(archive)], capture_output=True, check=True, text=True).stdout)
    print(f"    opened in {opened['open_ms']:.2f} ms; {opened['blobs']} blobs read at {opened['mb_per_second']:.0f} MB/s on one thread")
    goals.at_most("open an archive: ms", opened["open_ms"], 10)

"""Gzip layers by their plain form: what is saved, what it costs to find the encoders and to run them again."""

import json
import subprocess

import table
from lab import MIB, Contestant, size_of

# What a person says, and the MB/s of gzip bytes and the share of the blobs that are wanted of it.
WAYS = {
    "ocm": ([], 35, 0.73),
    "ocm --level 3": (["--level", "3"], 45, None),
    "ocm --small": (["--small"], 25, 0.68),
    "ocm --gzip keep": (["--gzip", "keep"], 400, None),
}


def measure(lab, layout, goals):
    table.title("Gzip layers by their plain form")
    blob_bytes = sum(layout.blobs().values())
    place = lab.fresh("made")
    sync = lambda options: [lab.tools["ocm"], "sync", "-q", *options, f"oci:{layout.folder}", str(place)]
    contestants = [Contestant(name, lambda options=options: sync(options), lambda: lab.remove(place)) for name, (options, _, _) in WAYS.items()]
    figures = lab.compete(contestants)
    table.rate("create it from a layout, by gzip bytes", {name: (blob_bytes, taken) for name, taken in figures.items()})
    for name, (options, wanted, share) in WAYS.items():
        said = subprocess.run([*sync(options), "-o", "json"], capture_output=True, check=True, text=True).stdout
        gzip, stored = json.loads(said)["set"]["gzip"], size_of(place)
        print(f"    {name}: {stored / MIB:.1f} of {blob_bytes / MIB:.1f} MiB, {stored / blob_bytes:.4f}; replayed {gzip['replayed']['blobs']} blobs, kept {gzip.get('kept', {})}")
        goals.at_least(f"create, {name}: MB/s of gzip bytes", blob_bytes / figures[name].wall / 1e6, wanted)
        goals.at_most(f"create, {name}: peak memory, MiB", figures[name].memory / MIB, 256)
        if share:
            goals.at_most(f"archive of {name}, of the gzip blobs", stored / blob_bytes, share)
        if name == "ocm":
            give_back(lab, place, blob_bytes, goals)
        lab.remove(place)


def give_back(lab, archive, blob_bytes, goals):
    out = lab.fresh("back")
    command = [lab.tools["ocm"], "sync", "-q", str(archive), f"oci:{out}"]
    figures = lab.compete([Contestant("ocm", lambda: command, lambda: lab.remove(out))])
    table.rate("give it back, by gzip bytes", {"ocm": (blob_bytes, figures["ocm"])})
    goals.at_least("give back: MB/s of gzip bytes", blob_bytes / figures["ocm"].wall / 1e6, 75)
    goals.at_most("give back: peak memory, MiB", figures["ocm"].memory / MIB, 256)

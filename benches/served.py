"""A read-only registry straight from the volumes, beside docker-registry with the same blobs.

Not here: that what is served is right (tests).
"""

import concurrent.futures
import contextlib
import http.client
import json
import re
import subprocess
import time

import table
from lab import KEEP, MIB

CLIENTS = 200
PART = 1 << 20


def measure(lab, layout, goals):
    table.title("Serve: pulls of all blobs over loopback, read and dropped")
    blobs = sorted(layout.blobs().items(), key=lambda blob: -blob[1])
    total = sum(size for _, size in blobs)
    archives = {}
    for name, options in {"stored": KEEP, "replayed": []}.items():
        archives[name] = lab.fresh(name)
        lab.run([lab.tools["ocm"], "sync", "-q", *options, f"oci:{layout.folder}", str(archives[name])])
    stored(lab, layout, archives["stored"], blobs, total, goals)
    replayed(lab, archives["replayed"], blobs, total, goals)
    fan_out(lab, archives, blobs, goals)
    for archive in archives.values():
        lab.remove(archive)


def stored(lab, layout, archive, blobs, total, goals):
    with lab.registry() as registry:
        lab.run([lab.tools["ocm"], "sync", "-q", str(archive), f"docker://{registry.host}/all"])
        beside = {way: pull(registry.process.pid, registry.host, names_there(registry.host), blobs, way) for way in (1, 1, 4)}
    with server(lab, archive) as (host, pid):
        here = {}
        for label, way in (("first", 1), ("later", 1), ("4 at a time", 4)):
            here[label] = pull(pid, host, names_there(host), blobs, way)
    show = lambda name, taken: print(f"    {name:<34}{total / taken[0] / 1e6:8.0f} MB/s {taken[1] / (total / 1e9):6.2f} CPU s/GB", flush=True)
    for way, taken in beside.items():
        show(f"docker-registry, {way} at a time", taken)
    for label, taken in here.items():
        show(f"ocm, stored blobs, {label}", taken)
    for label, way, wanted in (("first", 1, 0.5), ("later", 1, 1.0), ("4 at a time", 4, 1.0)):
        goals.at_least(f"serve, stored blobs, {label}: of docker-registry's rate", beside[way][0] / here[label][0], wanted)


def replayed(lab, archive, blobs, total, goals):
    with lab.registry() as registry:
        lab.run([lab.tools["ocm"], "sync", "-q", str(archive), f"docker://{registry.host}/all"])
        pull(registry.process.pid, registry.host, names_there(registry.host), blobs, 1)
        beside = pull(registry.process.pid, registry.host, names_there(registry.host), blobs, 1)
    with server(lab, archive) as (host, pid):
        first, second = (pull(pid, host, names_there(host), blobs, 1) for _ in range(2))
    for label, taken in (("first", first), ("second, from the spool", second)):
        print(f"    ocm, replayed blobs, {label:<22}{total / taken[0] / 1e6:8.0f} MB/s {taken[1] / (total / 1e9):6.2f} CPU s/GB", flush=True)
    goals.at_least("serve, replayed blobs, second pull: of docker-registry's rate", beside[0] / second[0], 1.0)


def fan_out(lab, archives, blobs, goals):
    """One image by many clients at once."""
    largest = blobs[:1]
    for name, archive in archives.items():
        with server(lab, archive) as (host, pid):
            wall, cpu = pull(pid, host, names_there(host), largest * CLIENTS, CLIENTS)
            peak = peak_memory(pid)
        print(f"    {CLIENTS} clients, one blob of {largest[0][1] / MIB:.0f} MiB, {name}: {wall:.1f} s, {cpu:.1f} CPU s, {peak / MIB:.0f} MiB at the most")
        goals.at_most(f"serve, {CLIENTS} clients at once, {name}: peak memory, MiB", peak / MIB, 160)


@contextlib.contextmanager
def server(lab, archive):
    """`ocm serve` on a free port: its host and process."""
    spool = lab.fresh("spool")
    spool.mkdir()
    command = [lab.tools["ocm"], "serve", str(archive), "--listen", "127.0.0.1:0", "--spool", str(spool), "--spool-size", "4GiB"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=lab.environment)
    try:
        found = re.search(r"http://(127\.0\.0\.1:\d+)", process.stdout.readline())
        if not found:
            raise SystemExit(f"{command}: it did not come up")
        yield found.group(1), process.pid
    finally:
        process.terminate()
        process.wait()


def names_there(host):
    """A repository for each blob: the place in it is found by asking for the manifests of all tags."""
    there = {}
    for repository in ask(host, "/v2/_catalog?n=1000")["repositories"]:
        for tag in ask(host, f"/v2/{repository}/tags/list")["tags"] or ():
            manifest = ask(host, f"/v2/{repository}/manifests/{tag}")
            for blob in [manifest["config"], *manifest["layers"]]:
                there.setdefault(blob["digest"], repository)
            there.setdefault(None, repository)
    return there


def ask(host, path):
    connection = http.client.HTTPConnection(host)
    connection.request("GET", path, headers={"Accept": "application/vnd.oci.image.manifest.v1+json, */*"})
    return json.loads(connection.getresponse().read())


def pull(pid, host, there, blobs, at_once):
    """Pulls these blobs, so many at once: seconds, and CPU seconds of the server."""
    wanted = [(digest, size) for digest, size in blobs if digest in there]
    before, begun = cpu_of(pid), time.monotonic()
    shares = [wanted[number::at_once] for number in range(at_once)]
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for got in pool.map(lambda share: fetch(host, there, share), shares):
            assert got, "a blob did not come"
    return time.monotonic() - begun, cpu_of(pid) - before


def fetch(host, there, blobs):
    """Reads blobs with curl, whose own cost is small."""
    urls = [word for digest, _ in blobs for word in ("-o", "/dev/null", f"http://{host}/v2/{there[digest]}/blobs/{digest}")]
    return not urls or subprocess.run(["curl", "-sSf", *urls]).returncode == 0


def cpu_of(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def peak_memory(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) << 10

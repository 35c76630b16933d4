"""Registry -> archive, against copies of the same images to an OCI layout; then once more with nothing new; and the disk it takes."""

import images
import table
from lab import KEEP, MIB, Contestant, Disk, in_turn, size_of

# How many blobs ocm moves at once.
JOBS = 6


def sources(host, names):
    return [f"docker://{host}/{name}" for name in names]


def measure(lab, layout, goals):
    table.title("Registry -> archive")
    with lab.registry() as upstream:
        names = images.push(layout, upstream.host)
        figures = lab.compete(contestants(lab, upstream.host, names))
        table.contest("to a fresh place", figures)
        goals.at_most("registry -> archive: peak memory, MiB", figures["ocm"].memory / MIB, 256)
        if "regctl" in figures:
            goals.at_most("registry -> archive: of the time of regctl", figures["ocm"].wall / figures["regctl"].wall, 1.0)
        again(lab, upstream.host, names, goals)
        disk(lab, layout, upstream.host, names, goals)


def contestants(lab, host, names):
    """Everybody who brings all images into one fresh folder."""
    place = lab.fresh("disk")
    ways = {"ocm": lambda: [lab.tools["ocm"], "sync", "-q", *KEEP, *sources(host, names), str(place)], **rivals(lab, host, names, place)}
    return [Contestant(name, way, lambda: lab.remove(place)) for name, way in ways.items() if lab.has(name)]


def rivals(lab, host, names, place):
    """What those beside ocm do, as functions: an OCI layout with all images."""
    tag = lambda name: name.rsplit("/", 1)[1].split(":")[0]
    tls = f"reg={host},tls=disabled"
    return {
        "regctl": lambda: in_turn(
            [lab.tools["regctl"], "--host", tls, "image", "copy", f"{host}/{name}", f"ocidir://{place}:{tag(name)}"] for name in names
        ),
        "skopeo": lambda: in_turn(
            [lab.tools["skopeo"], "--insecure-policy", "copy", "-q", "--all", "--src-tls-verify=false"]
            + [f"docker://{host}/{name}", f"oci:{place}:{tag(name)}"]
            for name in names
        ),
    }


def again(lab, host, names, goals):
    """The same run once more, and nothing is new."""
    place = lab.fresh("disk")
    command = [lab.tools["ocm"], "sync", "-q", *KEEP, *sources(host, names), str(place)]
    lab.run(command)
    figures = lab.compete([Contestant("ocm", lambda: command)])
    table.contest("nothing new", figures)
    goals.at_most("registry -> archive, nothing new: seconds", figures["ocm"].wall, 0.3)
    lab.remove(place)


def disk(lab, layout, host, names, goals):
    """The most that the archive and what waits beside it take while it is made."""
    place = lab.fresh("disk")
    place.mkdir()
    with Disk(place) as disk:
        lab.run([lab.tools["ocm"], "sync", "-q", *KEEP, *sources(host, names), str(place)])
    final = size_of(place)
    in_flight = sum(sorted(layout.blobs().values())[-JOBS:])
    print(f"  the archive has {final / MIB:.0f} MiB; while it was made, {disk.peak / MIB:.0f} MiB were taken at most")
    goals.at_most("disk while an archive is made: MiB beside the archive", (disk.peak - final) / MIB, 64 + in_flight / MIB)
    lab.remove(place)

"""Archive -> a registry that is empty, against copies of the same images out of an OCI layout; then once more with nothing new."""

import images
import table
from lab import KEEP, Contestant, in_turn


def measure(lab, layout, goals):
    table.title("Archive -> registry")
    archive = lab.fresh("archive")
    lab.run([lab.tools["ocm"], "sync", "-q", *KEEP, f"oci:{layout.folder}", str(archive)])
    figures = Rivals(lab, layout, archive).compete()
    table.contest("to an empty registry", figures)
    for rival in ("regctl", "skopeo"):
        if rival in figures:
            goals.at_most(f"archive -> registry: of the time of {rival}", figures["ocm"].wall / figures[rival].wall, 1.0)
    goals.at_most("archive -> registry: peak memory, MiB", figures["ocm"].memory / (1 << 20), 256)
    again(lab, archive, goals)
    lab.remove(archive)


class Rivals:
    """Everybody who brings all images into a registry of its own."""

    def __init__(self, lab, layout, archive):
        self.lab, self.layout, self.archive, self.registry = lab, layout, archive, None

    def compete(self):
        ways = {"ocm": self.ocm, "regctl": self.regctl, "skopeo": self.skopeo}
        prepare = lambda way: lambda: way(self.begin())
        return self.lab.compete([Contestant(name, prepare(way), self.end) for name, way in ways.items() if self.lab.has(name)])

    def begin(self):
        self.block = self.lab.registry()
        return self.block.__enter__().host

    def end(self):
        self.block.__exit__(None, None, None)

    def ocm(self, host):
        return [self.lab.tools["ocm"], "sync", "-q", str(self.archive), f"docker://{host}/mirror"]

    def regctl(self, host):
        regctl = [self.lab.tools["regctl"], "--host", f"reg={host},tls=disabled", "image", "copy"]
        return in_turn([*regctl, f"ocidir://{self.layout.folder}:{tag}", f"{host}/mirror/{tag}:1"] for tag in self.layout.tags)

    def skopeo(self, host):
        skopeo = [self.lab.tools["skopeo"], "--insecure-policy", "copy", "-q", "--all", "--dest-tls-verify=false"]
        return in_turn([*skopeo, f"oci:{self.layout.folder}:{tag}", f"docker://{host}/mirror/{tag}:1"] for tag in self.layout.tags)


def again(lab, archive, goals):
    with lab.registry() as registry:
        command = [lab.tools["ocm"], "sync", "-q", str(archive), f"docker://{registry.host}/mirror"]
        lab.run(command)
        figures = lab.compete([Contestant("ocm", lambda: command)])
        table.contest("nothing new", figures)
        goals.at_most("archive -> registry, nothing new: seconds", figures["ocm"].wall, 0.3)

"""Registry -> registry: large images, and many small ones on one base; with what goes over the wire."""

import images
import table
import wire
from lab import MIB, Contestant, in_turn


def measure(lab, layout, goals):
    table.title("Registry -> registry")
    figures = contest(lab, layout, ("ocm", "regctl", "skopeo"))
    table.contest("large images", figures)
    if "regctl" in figures:
        goals.at_most("registry -> registry: of the time of regctl", figures["ocm"].wall / figures["regctl"].wall, 0.9)
    on_the_wire(lab, layout, goals)
    small = images.make_small(lab.fresh("small"))
    figures = contest(lab, small, ("ocm", "skopeo", "crane", "regctl"))
    table.contest(f"{len(small.images)} small images on one base", figures)
    for rival in ("skopeo", "crane"):
        if rival in figures:
            goals.at_most(f"{len(small.images)} small images: of the time of {rival}", figures["ocm"].wall / figures[rival].wall, 0.5)
    on_the_wire(lab, small, None)
    lab.remove(small.folder)


def contest(lab, layout, names):
    with lab.registry() as upstream:
        images_there = images.push(layout, upstream.host)
        rivals = Rivals(lab, upstream.host, images_there)
        prepare = lambda name: lambda: getattr(rivals, name)(rivals.begin())
        return lab.compete([Contestant(name, prepare(name), rivals.end) for name in names if lab.has(name)])


class Rivals:
    """Everybody who copies all images to a fresh registry."""

    def __init__(self, lab, upstream, names):
        self.lab, self.upstream, self.names = lab, upstream, names

    def begin(self):
        self.block = self.lab.registry()
        return self.block.__enter__().host

    def end(self):
        self.block.__exit__(None, None, None)

    def ocm(self, host):
        return ocm(self.lab, self.upstream, self.names, host)

    def regctl(self, host):
        regctl = [self.lab.tools["regctl"]]
        for registry in (self.upstream, host):
            regctl += ["--host", f"reg={registry},tls=disabled"]
        return in_turn([*regctl, "image", "copy", f"{self.upstream}/{name}", f"{host}/{name}"] for name in self.names)

    def crane(self, host):
        return in_turn([self.lab.tools["crane"], "copy", "--insecure", f"{self.upstream}/{name}", f"{host}/{name}"] for name in self.names)

    def skopeo(self, host):
        """All images by one process, which is the fastest way that skopeo has."""
        listed = self.lab.folder / "skopeo.yaml"
        of_registry = "".join(f"    {name.split(':')[0]}: ['1']\n" for name in self.names)
        listed.write_text(f"{self.upstream}:\n  tls-verify: false\n  images:\n{of_registry}")
        skopeo = [self.lab.tools["skopeo"], "--insecure-policy", "sync", "--all"]
        return [*skopeo, "--src", "yaml", "--dest", "docker", "--dest-tls-verify=false", str(listed), host]


def ocm(lab, upstream, names, host):
    return [lab.tools["ocm"], "sync", "-q", *(f"docker://{upstream}/{name}" for name in names), f"docker://{host}"]


def on_the_wire(lab, layout, goals):
    """What ocm asks for, counted by the logs of both registries."""
    with lab.registry(log=True) as upstream, lab.registry(log=True) as target:
        names = images.push(layout, upstream.host)
        before = len(upstream.requests())
        lab.run(ocm(lab, upstream.host, names, target.host))
        asked, pushed = upstream.requests()[before:], target.requests()
    sizes = layout.blobs()
    _, fetched = wire.blobs_fetched(asked)
    sent = sum(sizes.get(digest, 0) * times for digest, times in wire.blobs_pushed(pushed).items())
    print(f"    ocm: {fetched / MIB:.0f} MiB of blobs fetched, {sent / MIB:.0f} MiB pushed, {wire.mounts(pushed)} mounts;", end=" ")
    print(f"all blobs once have {sum(sizes.values()) / MIB:.0f} MiB, counted by image {layout.counted_by_image() / MIB:.0f} MiB")
    print(f"    requests: {wire.by_method(asked)} of the source; {wire.by_method(pushed)} of the target")
    if goals:
        goals.at_most("registry -> registry: bytes fetched, of all blobs once", fetched / sum(sizes.values()), 1.0)
        goals.at_most("registry -> registry: bytes pushed, of all blobs once", sent / sum(sizes.values()), 1.0)

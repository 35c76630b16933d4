"""The three workflows from an ImageSetConfiguration: how long, what is asked and sent, what lies beside the archive, by a slow line.

Figures of oc-mirror that were measured earlier stand beside those of this run where no oc-mirror is at hand; they are
marked as that, and are for images of about the same size alone.

Not here: what the same takes without a configuration (`to_archive`, `to_registry`, `between_registries`).
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil

import between_registries
import images
import limited
import table
import to_archive
import to_registry
import wire
from lab import KEEP, MIB, Contestant, Disk, size_of

WORKFLOWS = {"m2d": "registry -> archive", "d2m": "archive -> registry", "m2m": "registry -> registry"}
# Seconds of oc-mirror v2, measured earlier on a machine of this kind: 585 MB of layers, and 200 small images.
EARLIER = {"large": {"m2d": 2.75, "d2m": 6.71, "m2m": 3.54}, "small": {"m2d": 11.8, "d2m": 16.1, "m2m": 15.7}}
EARLIER_BYTES = 585e6
# Seconds of it with nothing new, large images; and what it took on the disk of each side, in archives.
EARLIER_AGAIN, EARLIER_DISK = {"m2d": 0.36, "d2m": 0.23}, 2.0
# The share of oc-mirror's time that is wanted.
WANTED = {"large": {"m2d": 0.6, "d2m": 0.6, "m2m": 0.9}, "small": dict.fromkeys(WORKFLOWS, 0.4)}
BARE = "ocm --remove-signatures"
SLOW = 30e6
# "1.0 archives" of disk, in tenths: state of a few kB is none.
ONE = 1.05


def measure(lab, layout, goals):
    small = images.make_small(lab.fresh("small"))
    for kind, given in (("large", layout), ("small", small)):
        for workflow, words in WORKFLOWS.items():
            table.title(f"From a configuration: {words}, {len(given.images)} {kind} images")
            Bench(lab, given, kind, workflow, goals).measure()
    lab.remove(small.folder)
    by_a_slow_line(lab, layout, goals)


@dataclasses.dataclass(frozen=True)
class Side:
    """One side of the gap for one run: the archive, and the home of the tool with all that it keeps."""

    folder: pathlib.Path

    @property
    def home(self):
        return self.folder / "home"

    @property
    def disk(self):
        return self.folder / "disk"

    def archive(self):
        """The bytes of the archive's files."""
        return sum(path.stat().st_size for path in self.disk.glob("*.tar"))

    def at_home(self, command):
        kept = {"HOME": self.home, "XDG_STATE_HOME": self.home / "state", "XDG_CACHE_HOME": self.home / "cache", "TMPDIR": self.home}
        return ["/usr/bin/env", *(f"{name}={path}" for name, path in kept.items()), *map(str, command)]


@contextlib.contextmanager
def fresh_side(lab, archive=None):
    """A side as long as the block, to which an archive was carried or where there is none."""
    side = Side(lab.fresh("side"))
    side.home.mkdir(parents=True)
    if archive:
        shutil.copytree(archive, side.disk, copy_function=os.link)
    try:
        yield side
    finally:
        lab.remove(side.folder)


class Source:
    """A registry with all images of a layout, and a configuration that asks for them, by `host` where that is not its own."""

    def __init__(self, lab, layout, registry, host=None):
        self.host = host or registry.host
        self.names = images.push(layout, registry.host)
        self.configuration = lab.fresh("isc").with_suffix(".yaml")
        head = "kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\nmirror:\n  additionalImages:\n"
        self.configuration.write_text(head + "".join(f"  - name: {self.host}/{name}\n" for name in self.names))


class Tools:
    """Everybody who competes, as functions of the workflow, the side and the target that say a command."""

    def __init__(self, lab, layout, source):
        self.lab, self.source = lab, source
        self.far = to_registry.Rivals(lab, layout, None)
        self.between = between_registries.Rivals(lab, source.host, source.names)

    def all(self, workflow):
        found = {"ocm": self.ocm(*KEEP if workflow == "m2d" else ())}
        if workflow != "m2m":
            found["ocm, replayed"] = self.ocm()
        for name in ("regctl", "skopeo"):
            if self.lab.has(name):
                found[name] = self.rival(name)
        if os.environ.get("OC_MIRROR"):
            found["oc-mirror"] = self.oc_mirror
        return found

    def ocm(self, *options):
        def command(workflow, side, target):
            places = {"m2d": [side.disk], "d2m": [side.disk, f"docker://{target}"], "m2m": [f"docker://{target}"]}[workflow]
            return side.at_home([self.lab.tools["ocm"], "sync", "-q", "-c", self.source.configuration, *options, *places])

        return command

    def oc_mirror(self, workflow, side, target):
        disk, target = f"file://{side.disk}", f"docker://{target}"
        near, far = "--src-tls-verify=false", "--dest-tls-verify=false"
        places = {"m2d": [disk, near], "d2m": ["--from", disk, target, far], "m2m": ["--workspace", disk, target, near, far]}[workflow]
        return side.at_home([os.environ["OC_MIRROR"], "--v2", "-c", self.source.configuration, *places])

    def rival(self, name):
        def command(workflow, side, target):
            if workflow == "m2d":
                return to_archive.rivals(self.lab, self.source.host, self.source.names, side.disk)[name]()
            return getattr(self.far if workflow == "d2m" else self.between, name)(target)

        return command


class Bench:
    """One workflow for one set of images."""

    def __init__(self, lab, layout, kind, workflow, goals):
        self.lab, self.layout, self.kind, self.workflow, self.goals = lab, layout, kind, workflow, goals
        # How the goals call it.
        self.name = f"{workflow}, {len(layout.images)} {kind}"

    def measure(self):
        with self.lab.registry() as upstream:
            tools = Tools(self.lab, self.layout, Source(self.lab, self.layout, upstream))
            ways = tools.all(self.workflow)
            bare = {BARE: tools.ocm(*KEEP if self.workflow == "m2d" else (), "--remove-signatures")}
            with self.carried(tools, [*ways, *bare]) as archives:
                self.archives = archives
                self.compare(self.lab.compete([self.contestant(name, way) for name, way in ways.items()]))
                self.again({"ocm": ways["ocm"], **bare})
        self.watch()

    @contextlib.contextmanager
    def carried(self, tools, names):
        """The archives of those who have one, made before the clock runs; only where it is archives that are brought."""
        makers = {"ocm": tools.ocm(*KEEP), BARE: tools.ocm(*KEEP), "ocm, replayed": tools.ocm(), "oc-mirror": tools.oc_mirror}
        with contextlib.ExitStack() as sides:
            archives = {}
            for name in names if self.workflow == "d2m" else ():
                if name in makers:
                    side = sides.enter_context(fresh_side(self.lab))
                    self.lab.run(makers[name]("m2d", side, None))
                    archives[name] = side.disk
            yield archives

    def places(self, blocks, name, log=False):
        """A fresh side, and a fresh target where there is one, as long as the blocks."""
        side = blocks.enter_context(fresh_side(self.lab, self.archives.get(name)))
        return side, None if self.workflow == "m2d" else blocks.enter_context(self.lab.registry(log))

    def contestant(self, name, way):
        blocks = contextlib.ExitStack()

        def prepare():
            side, target = self.places(blocks, name)
            return way(self.workflow, side, target and target.host)

        return Contestant(name, prepare, blocks.close)

    def compare(self, figures):
        """Shows the figures, and holds them against oc-mirror: that of this run, or what was measured of it earlier."""
        table.contest("to a fresh place", figures)
        ocm, wanted = figures["ocm"], WANTED[self.kind][self.workflow]
        self.goals.at_most(f"{self.name}: peak memory, MiB", ocm.memory / MIB, 256)
        if "oc-mirror" in figures:
            self.goals.at_most(f"{self.name}: of oc-mirror's time", ocm.wall / figures["oc-mirror"].wall, wanted)
        elif self.like_earlier():
            earlier = EARLIER[self.kind][self.workflow]
            for name in (name for name in figures if name.startswith("ocm")):
                print(f"    oc-mirror, MEASURED EARLIER, not in this run: {earlier:.2f} s; {name}: {figures[name].wall / earlier:.2f} of its time")
            self.goals.at_most(f"{self.name}: of oc-mirror's time, earlier", ocm.wall / earlier, wanted)

    def like_earlier(self):
        """Whether the images are like those of the earlier measurement."""
        return self.kind == "small" or abs(sum(self.layout.blobs().values()) / EARLIER_BYTES - 1) < 0.05

    def again(self, ways):
        """The same command once more, with all that the first one kept, and nothing is new."""
        with contextlib.ExitStack() as blocks:
            contestants = []
            for name, way in ways.items():
                side, target = self.places(blocks, name)
                command = way(self.workflow, side, target and target.host)
                self.lab.run(command)
                contestants.append(Contestant(name, lambda command=command: command))
            figures = self.lab.compete(contestants)
        table.contest("nothing new", figures)
        if self.kind == "large" and self.workflow in EARLIER_AGAIN:
            print(f"    oc-mirror, MEASURED EARLIER, not in this run: {EARLIER_AGAIN[self.workflow]:.2f} s")
        self.goals.at_most(f"{self.name}: nothing new, no signatures, s", figures[BARE].wall, 0.3)

    def watch(self):
        """Each once more, by registries that log and with an eye on the disk; ocm twice, the second time with nothing new."""
        print("  what each asks and keeps, in a run of its own")
        with self.lab.registry(log=True) as upstream:
            tools = Tools(self.lab, self.layout, Source(self.lab, self.layout, upstream))
            ways = tools.all(self.workflow) | {BARE: tools.ocm(*KEEP if self.workflow == "m2d" else (), "--remove-signatures")}
            with self.carried(tools, ways) as self.archives:
                for name, way in ways.items():
                    with contextlib.ExitStack() as blocks:
                        side, target = self.places(blocks, name, log=True)
                        command = way(self.workflow, side, target and target.host)
                        with Disk(side.folder) as disk:
                            asked, pushed = self.logged(command, upstream, target)
                        self.show(name, asked, pushed)
                        if name in ("ocm", "oc-mirror"):
                            self.kept(name, side, max(disk.peak, size_of(side.folder)))
                        if name == BARE:
                            self.judge(asked, pushed)
                        if name in ("ocm", BARE):
                            asked, pushed = self.logged(command, upstream, target)
                            self.show(f"{name}, nothing new", asked, pushed)
                        if name == BARE:
                            for end, requests in (("source", asked), ("target", pushed)):
                                self.goals.at_most(f"{self.name}: nothing new, of the {end}, an image", len(requests) / len(self.layout.images), 1)

    def logged(self, command, upstream, target):
        """What both registries are asked in a run."""
        before = len(upstream.requests()), len(target.requests()) if target else 0
        self.lab.run(command)
        return upstream.requests()[before[0] :], target.requests()[before[1] :] if target else []

    def show(self, name, asked, pushed):
        sizes = self.layout.blobs()
        _, fetched = wire.blobs_fetched(asked)
        sent = sum(sizes.get(digest, 0) * times for digest, times in wire.blobs_pushed(pushed).items())
        print(f"    {name}: {fetched / MIB:.0f} MiB of blobs fetched, {sent / MIB:.0f} MiB pushed, {wire.mounts(pushed)} mounts; all once have {sum(sizes.values()) / MIB:.0f} MiB")
        for end, requests in (("source", asked), ("target", pushed)):
            if requests:
                each = len(requests) / len(self.layout.images)
                print(f"      {len(requests)} requests of the {end}, {each:.1f} an image: {wire.by_kind(requests)}", flush=True)

    def kept(self, name, side, peak):
        """The disk of this side: at the most, and when all is done."""
        archive, after = side.archive(), size_of(side.folder)
        text = f"      disk of this side: {peak / MIB:.1f} MiB at the most, {after / MIB:.1f} MiB after"
        if self.workflow == "m2m":
            print(text)
            return
        print(f"{text}; the archive {archive / MIB:.1f} MiB; oc-mirror, MEASURED EARLIER: {EARLIER_DISK} archives")
        if name == "ocm":
            self.goals.at_most(f"{self.name}: disk at the most, in archives", peak / archive, ONE)
            self.goals.at_most(f"{self.name}: disk after, in archives", after / archive, ONE)

    def judge(self, asked, pushed):
        """What the run may ask for where no signatures are looked for."""
        count = len(self.layout.images)
        if self.workflow != "d2m":
            fetches, _ = wire.blobs_fetched(asked)
            self.goals.at_most(f"{self.name}: fetches of a blob, at the most", max(fetches.values()), 1)
            self.goals.at_most(f"{self.name}: requests of the source a manifest", sum("/manifests/" in path for _, path, *_ in asked) / count, 2)
        if self.workflow != "m2d":
            self.goals.at_most(f"{self.name}: uploads of a blob, at the most", max(wire.blobs_pushed(pushed).values()), 1)
            self.goals.at_most(f"{self.name}: requests of the target a manifest", sum("/manifests/" in path for _, path, *_ in pushed) / count, 2)


def by_a_slow_line(lab, layout, goals):
    """To an archive, by default and with layers kept, and by others, from a source that gives so much a second; once each after once."""
    table.title(f"From a configuration: registry -> archive by a line of {SLOW / 1e6:.0f} MB/s")
    with lab.registry() as upstream, limited.Door(upstream.host, SLOW) as door:
        bench = Bench(lab, layout, "large", "m2d", goals)
        bench.archives = {}
        ways = Tools(lab, layout, Source(lab, layout, upstream, door.host)).all("m2d")
        figures = lab.compete([bench.contestant(name, ways[name]) for name in ways if name != "skopeo"], runs=1)
    table.contest("one run each", figures)
    stand_in = "oc-mirror" if "oc-mirror" in figures else "regctl"
    if stand_in in figures:
        print(f"    the goal is of oc-mirror's time; {stand_in} by the same line stands for it")
        goals.at_most(f"m2d by {SLOW / 1e6:.0f} MB/s, replayed: of the time of {stand_in}", figures["ocm, replayed"].wall / figures[stand_in].wall, 1.05)

"""The lab: folders and registries of a bench, and how commands are measured in it.

Invariants. Commands that are compared run in turns, so that what else the machine does hits all of them alike; each is run
once unmeasured first, and the median of its runs counts. Everything lies in one folder, which is gone at the end.

Not here: what is compared (one file an area).
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import threading
import time

MIB = 1 << 20
# Layers as they come, as those who are beside it have them.
KEEP = ["--gzip", "keep"]


@dataclasses.dataclass(frozen=True)
class Figures:
    """What a command took: seconds, and the largest resident size of one process in bytes."""

    wall: float
    cpu: float
    memory: int
    durable: float
    spread: float = 0.0

    def as_text(self):
        return f"{self.wall:8.2f} s {self.cpu:8.2f} s {self.memory / MIB:7.0f} MiB"


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A command that does the job. `prepare` gives it a fresh place and says the command; `clear` takes the place away."""

    name: str
    prepare: callable
    clear: callable = lambda: None


def median(samples):
    """The figures in the middle, each for itself."""
    walls = [sample.wall for sample in samples]
    middle = statistics.median(walls)
    return Figures(
        wall=middle,
        cpu=statistics.median(sample.cpu for sample in samples),
        memory=int(statistics.median(sample.memory for sample in samples)),
        durable=statistics.median(sample.durable for sample in samples),
        spread=(max(walls) - min(walls)) / middle if middle else 0.0,
    )


class Lab:
    """A folder, the tools that are there, and how often everything is run."""

    def __init__(self, folder, ocm, runs):
        self.folder = pathlib.Path(folder)
        self.runs = runs
        names = ("skopeo", "regctl", "crane", "zstd", "sha256sum", "cp", "docker-registry")
        self.tools = {name: shutil.which(name) for name in names} | {"ocm": str(ocm)}
        self.numbers = iter(range(1 << 30))
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"}

    def has(self, name):
        """Whether a tool is there; where it is not, that is said."""
        if self.tools.get(name) is None:
            print(f"  {name:<10} skipped: {name} is not installed")
        return self.tools.get(name) is not None

    def fresh(self, name="place"):
        """A path where nothing is yet."""
        return self.folder / f"{name}-{next(self.numbers)}"

    def run(self, command):
        """Runs a command once; what it says is shown if it fails."""
        os.sync()
        # State of earlier runs must not help the next one.
        state = self.fresh("state")
        environment = self.environment | {"XDG_STATE_HOME": str(state)}
        with open(self.folder / "said", "w+b") as said:
            begun = time.monotonic()
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.monotonic() - begun
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode != 0:
                said.seek(0)
                raise SystemExit(f"{command}: it ended with {child.returncode}\n{said.read().decode(errors='replace')}")
        os.sync()
        durable = time.monotonic() - begun
        shutil.rmtree(state, ignore_errors=True)
        return Figures(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, durable)

    def compete(self, contestants, runs=None):
        """The medians of all, which run in turns."""
        samples = {contestant.name: [] for contestant in contestants}
        for turn in range((runs or self.runs) + 1):
            for contestant in contestants:
                sample = self.run(contestant.prepare())
                contestant.clear()
                if turn > 0:
                    samples[contestant.name].append(sample)
        return {name: median(taken) for name, taken in samples.items()}

    @contextlib.contextmanager
    def registry(self, log=False):
        """A registry of Debian's that runs as long as the block."""
        registry = Registry(self, self.fresh("registry"), log)
        try:
            yield registry
        finally:
            registry.stop()

    def remove(self, path):
        """Takes a file or folder away."""
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


class Registry:
    """Debian's docker-registry on a free port of loopback. `log` is of every request."""

    def __init__(self, lab, folder, log):
        self.folder = folder
        folder.mkdir()
        disabled = "false" if log else "true"
        (folder / "config.yml").write_text(
            "version: 0.1\n"
            f"log: {{level: info, formatter: json, accesslog: {{disabled: {disabled}}}}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/storage}}, delete: {{enabled: true}}}}\n"
            "http: {addr: '127.0.0.1:0', secret: of-a-bench}\n"
        )
        self.log = folder / "log"
        with open(self.log, "wb") as log_file:
            command = [lab.tools["docker-registry"], "serve", str(folder / "config.yml")]
            self.process = subprocess.Popen(command, stdout=log_file, stderr=log_file, stdin=subprocess.DEVNULL)
        self.host = self._listening()

    def _listening(self):
        for _ in range(600):
            found = re.search(r"listening on (127\.0\.0\.1:\d+)", self.log.read_text(errors="replace"))
            if found:
                return found.group(1)
            time.sleep(0.05)
        raise SystemExit(f"docker-registry did not come up:\n{self.log.read_text(errors='replace')}")

    def stop(self):
        """Ends it and takes away all that it kept."""
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)

    def requests(self):
        """What it was asked, as (method, path, status, bytes that it sent)."""
        line = re.compile(r'"([A-Z]+) (\S+) HTTP/[\d.]+" (\d+) (\d+)')
        return [(m[1], m[2], int(m[3]), int(m[4])) for m in line.finditer(self.log.read_text(errors="replace"))]


class Disk(threading.Thread):
    """The most that a folder takes on the disk while the block runs, in bytes."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.peak, self.over = folder, 0, threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def run(self):
        while not self.over.wait(0.02):
            self.peak = max(self.peak, size_of(self.folder))


def size_of(folder):
    """The length of all files below a folder, in bytes; what vanishes meanwhile counts nothing."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(root, name)).st_size
    return total


def in_turn(commands):
    """One command that runs all of these one after the other, as a script would."""
    quoted = (" ".join("'" + str(word).replace("'", "'\\''") + "'" for word in command) for command in commands)
    return ["/bin/sh", "-ec", "\n".join(quoted)]

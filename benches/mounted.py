"""An archive as a file system, beside squashfuse_ll with the same content in blocks of 256 KiB.

Not here: that what is read is right (tests).
"""

import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import time

import images
import table
from lab import MIB

BLOCK = 4096
FRAME = 1 << 20
BLOBS = 20_000
DROP = pathlib.Path("/proc/sys/vm/drop_caches")


def measure(lab, layout, huge, goals):
    table.title("Mount")
    if not os.access("/dev/fuse", os.W_OK) or not os.access(DROP, os.W_OK):
        print("    skipped: it takes /dev/fuse and the right to drop caches")
        return
    missing = [name for name in ("mksquashfs", "squashfuse_ll") if shutil.which(name) is None]
    if missing:
        print(f"    skipped: {', '.join(missing)} is not installed")
        return
    archive = lab.fresh("archive")
    lab.run([lab.tools["ocm"], "sync", "-q", f"oci:{layout.folder}", str(archive)])
    ready(lab, archive, huge, goals)
    with mounted(lab, archive) as (place, process):
        image = largest_image(place)
        plain = max((image / "layers").iterdir(), key=lambda file: file.stat().st_size)
        packed = squashed(lab, image / "rootfs", plain)
    content(lab, archive, image, plain, packed, goals)
    gzip_blobs(lab, archive, layout, goals)
    lab.remove(archive)
    many_blobs(lab, goals)


def ready(lab, archive, huge, goals):
    """From the start of the program until the mount can be read."""
    terabyte = lab.fresh("terabyte")
    terabyte.mkdir()
    subprocess.run([huge, terabyte, "250", "4000000000"], check=True)
    for name, folder, goal in (("the images", archive, 10), ("1 TB in 250 volumes", terabyte, 50)):
        times = []
        for _ in range(lab.runs):
            begun = time.monotonic()
            with mounted(lab, folder):
                times.append((time.monotonic() - begun) * 1000)
        print(f"    ready, {name}: {statistics.median(times):.1f} ms", flush=True)
        goals.at_most(f"mount ready, {name}: ms", statistics.median(times), goal)
    lab.remove(terabyte)


def content(lab, archive, image, plain, packed, goals):
    ours, theirs = {}, {}
    relative = lambda path, place: place / path.relative_to(image)
    for turn in range(lab.runs):
        with mounted(lab, archive, image) as (place, process):
            sample(ours, place / plain.relative_to(image), place / "rootfs")
            peak = peak_memory(process.pid)
        with squashfuse(lab, packed) as place:
            sample(theirs, place / "plain", place / "rootfs")
    figures = {
        "sequential, cold, MB/s": (1.0, True),
        "4 KiB at random, one a frame, a second": (0.5, True),
        "4 KiB at random, dense, a second": (3.0, True),
        "find over the root file system, s": (3.0, False),
    }
    for name, (goal, more_is_better) in figures.items():
        mine, other = statistics.median(ours[name]), statistics.median(theirs[name])
        print(f"    {name:<42} ocm {mine:10.4g}   squashfuse_ll {other:10.4g}   {mine / other:.2f}", flush=True)
        (goals.at_least if more_is_better else goals.at_most)(f"mount: {name}: of squashfuse_ll's", mine / other, goal)
    print(f"    warm, MB/s: ocm {statistics.median(ours['warm, MB/s']):.0f}, squashfuse_ll {statistics.median(theirs['warm, MB/s']):.0f}")
    goals.at_most("mount: peak memory, MiB", peak / MIB, 80)


def sample(figures, plain, root):
    """All figures of one file and one tree, each with cold caches."""
    add = lambda name, value: figures.setdefault(name, []).append(value)
    size = plain.stat().st_size
    drop_caches()
    add("sequential, cold, MB/s", size / seconds(lambda: read_all(plain)) / 1e6)
    add("warm, MB/s", size / seconds(lambda: read_all(plain)) / 1e6)
    drop_caches()
    sparse = [frame * FRAME + random.randrange(FRAME // BLOCK) * BLOCK for frame in range(size // FRAME)]
    random.shuffle(sparse)
    add("4 KiB at random, one a frame, a second", len(sparse) / seconds(lambda: read_at(plain, sparse)))
    drop_caches()
    # As many as there are blocks in a stretch of 64 MiB, each once.
    dense = [block * BLOCK for block in range(min(size, 64 * MIB) // BLOCK)]
    random.shuffle(dense)
    add("4 KiB at random, dense, a second", len(dense) / seconds(lambda: read_at(plain, dense)))
    drop_caches()
    add("find over the root file system, s", seconds(lambda: subprocess.run(["find", root, "-ls"], stdout=subprocess.DEVNULL, check=True)))


def gzip_blobs(lab, archive, layout, goals):
    """The first byte somewhere inside a blob that an encoder makes again."""
    digest, size = max(layout.blobs().items(), key=lambda blob: blob[1])
    with mounted(lab, archive) as (place, _):
        blob = os.open(place / "blobs" / digest.replace(":", "/"), os.O_RDONLY)
        os.posix_fadvise(blob, 0, 0, os.POSIX_FADV_RANDOM)
        places = random.sample(range(0, size // (2 * MIB)), min(100, size // (2 * MIB)))
        times = sorted(seconds(lambda at=at: os.pread(blob, 1, at * 2 * MIB + random.randrange(2 * MIB - 1))) * 1000 for at in places)
        os.close(blob)
    p50, p99 = times[len(times) // 2], times[-1 - len(times) // 100]
    print(f"    first byte inside a replayed gzip blob: p50 {p50:.1f} ms, p99 {p99:.1f} ms", flush=True)
    goals.at_most("mount: first byte in a replayed blob, p50, ms", p50, 30)
    goals.at_most("mount: first byte in a replayed blob, p99, ms", p99, 80)


def many_blobs(lab, goals):
    """`ls -l` of many blobs."""
    maker = images.Maker(lab.fresh("many"))
    for number in range(BLOBS // 100):
        layers = [maker.small(f"{number}-{layer}") for layer in range(100)]
        maker.image(f"many/{number}:1", layers)
    layout, archive = maker.finish(), lab.fresh("archive")
    lab.run([lab.tools["ocm"], "sync", "-q", f"oci:{layout.folder}", str(archive)])
    with mounted(lab, archive) as (place, process):
        took = seconds(lambda: subprocess.run(["ls", "-l", place / "blobs/sha256"], stdout=subprocess.DEVNULL, check=True))
        count, peak = len(os.listdir(place / "blobs/sha256")), peak_memory(process.pid)
    packed = lab.fresh("squashfs")
    subprocess.run(["mksquashfs", layout.folder / "blobs/sha256", packed, "-comp", "zstd", "-quiet", "-no-progress"], check=True)
    with squashfuse(lab, packed) as place:
        beside = seconds(lambda: subprocess.run(["ls", "-l", place], stdout=subprocess.DEVNULL, check=True))
    print(f"    ls -l of {count} blobs: {took * 1000:.0f} ms, {peak / MIB:.0f} MiB at the most; squashfuse_ll {beside * 1000:.0f} ms", flush=True)
    goals.at_most(f"mount: ls -l of {BLOBS} blobs, ms", took * 1000, 80)
    lab.remove(archive), lab.remove(layout.folder)


def largest_image(place):
    return max(place.glob("images/*/*/*"), key=lambda image: sum(file.stat().st_size for file in (image / "layers").iterdir()))


def squashed(lab, root, plain):
    """The same content as a squashfs."""
    folder, packed = lab.fresh("content"), lab.fresh("squashfs")
    folder.mkdir()
    subprocess.run(["cp", "-a", root, folder / "rootfs"], check=True)
    shutil.copyfile(plain, folder / "plain")
    subprocess.run(["mksquashfs", folder, packed, "-comp", "zstd", "-Xcompression-level", "6", "-b", "256K", "-quiet", "-no-progress"], check=True)
    lab.remove(folder)
    return packed


@contextlib.contextmanager
def mounted(lab, archive, image=None):
    """`ocm mount`: where it is, or where the image is that was found before; and its process."""
    place = lab.fresh("mount")
    place.mkdir()
    process = subprocess.Popen([lab.tools["ocm"], "mount", str(archive), str(place)], stdout=subprocess.PIPE, text=True, env=lab.environment)
    try:
        if not process.stdout.readline().startswith("ready"):
            raise SystemExit("ocm mount: it did not come up")
        parts = image.parts[image.parts.index("images"):] if image else ()
        yield place.joinpath(*parts), process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        place.rmdir()


@contextlib.contextmanager
def squashfuse(lab, packed):
    place = lab.fresh("mount")
    place.mkdir()
    process = subprocess.Popen(["squashfuse_ll", "-f", packed, place], stderr=subprocess.DEVNULL)
    try:
        while not os.path.ismount(place):
            time.sleep(0.01)
        yield place
    finally:
        subprocess.run(["umount", place], check=True)
        process.wait()
        place.rmdir()


def drop_caches():
    os.sync()
    DROP.write_text("3\n")


def seconds(work):
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def read_all(path):
    subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)


def read_at(path, places):
    file = os.open(path, os.O_RDONLY)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
    for at in places:
        os.pread(file, BLOCK, at)
    os.close(file)


def peak_memory(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) << 10

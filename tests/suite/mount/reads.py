"""Reads parts of a file in every way that Linux has, and compares them with a copy:  reads.py FILE COPY SEED READS"""
import errno, mmap, os, random, sys, tempfile

REOPENED = 250  # reads after which the file is opened anew and the kernel has nothing of it
MOST = 20000  # bytes of a read


def pread(file, at, size):
    return os.pread(file.fileno(), size, at)


def read(file, at, size):
    file.seek(at)
    return file.read(size)


def preadv(file, at, size):
    parts = [bytearray(size // 3), bytearray(1), bytearray(size)]
    count = os.preadv(file.fileno(), parts, at)
    return b"".join(parts)[:count][:size]


def mapped(file, at, size):
    page = at - at % mmap.ALLOCATIONGRANULARITY
    length = min(at + size, os.fstat(file.fileno()).st_size) - page
    if length <= 0:
        return b""
    with mmap.mmap(file.fileno(), length, prot=mmap.PROT_READ, offset=page) as view:
        return view[at - page :]


def sent(file, at, size):
    return moved(lambda to: os.sendfile(to, file.fileno(), at, size))


def copied(file, at, size):
    try:
        return moved(lambda to: os.copy_file_range(file.fileno(), to, size, at))
    except OSError as error:  # some kernels copy within one kind of file system alone
        if error.errno != errno.EXDEV:
            raise
        return pread(file, at, size)


def spliced(file, at, size):
    ends = os.pipe()
    try:
        return os.read(ends[0], size) if os.splice(file.fileno(), ends[1], size, offset_src=at) else b""
    finally:
        os.close(ends[0]), os.close(ends[1])


def moved(move):
    OUT.seek(0), OUT.truncate()
    count = move(OUT.fileno())
    return os.pread(OUT.fileno(), count, 0)


OUT = tempfile.TemporaryFile(buffering=0)
WAYS = [pread, read, preadv, mapped, sent, copied] + [spliced] * hasattr(os, "splice")


def main(path, copy, seed, reads):
    chance = random.Random(int(seed))
    with open(copy, "rb") as file:
        whole = file.read()
    for turn in range(int(reads)):
        if turn % REOPENED == 0:
            file = open(path, "rb", buffering=0)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        at, size, way = chance.randrange(len(whole) + 2), 1 + chance.randrange(MOST), chance.choice(WAYS)
        part = way(file, at, size)
        wanted = whole[at : at + len(part)] if way in (sent, copied, spliced) and part else whole[at : at + size]
        assert part == wanted, "%s at %d: %d of %d bytes" % (way.__name__, at, len(part), size)


main(*sys.argv[1:])

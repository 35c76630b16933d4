#!/usr/bin/env python3
"""Restores the images of an ocm archive (format version 1):  restore.py ARCHIVE_DIR OUT

Writes the blobs of the newest whole set of each lineage to OUT/blobs, each checked by its digest, with oci-layout and
index.json: an OCI image layout. A gzip blob whose encoder is not in here becomes its uncompressed layer, by diff id;
restore-gzip.py has more encoders. Names on stderr what it cannot write. A cut volume gives what is whole in it. Needs
Python 3.6 and zstd. Exit code: 0 all is written, 1 damaged or missing, 2 usage, 3 an encoder not in here is needed."""
import bisect, functools, gzip, hashlib, io, itertools, json, os, re, struct, subprocess, sys, tarfile, tempfile, zlib
RANGE, RUN, REPLAY, FILE = 0, 1, "replay", "file"  # kinds of part; a part is (length, kind, where, offset there)
TREE = re.compile(r"application/vnd\.(oci\.image|docker\.distribution)\.(index|manifest(\.list)?)\.v\d\+json")
sets, exit_codes = {}, set()  # by id; of all that failed
class Damage(Exception): pass
class UnknownEncoder(Damage): pass
def check(sound, text, *values):
    if not sound: raise Damage(text % values)
def attempt(what, work, *arguments):  # what the work gives; or None, and why on stderr
    try: return work(*arguments)
    except Exception as error:
        exit_codes.add(3 if isinstance(error, UnknownEncoder) else 1)
        print("%s: %s" % (what, error if isinstance(error, Damage) else repr(error)), file=sys.stderr)
def spool(chunks):  # into a file
    file = tempfile.TemporaryFile()
    return file.writelines(chunks) or file.seek(0) or file
def unzstd(data, most, *options):  # nothing where it is damaged
    with spool([data]) as source, subprocess.Popen(["zstd", "-dcq", *options], -1, None, source, -1, -3) as zstd:
        data = zstd.stdout.read(most + 1)
    return data * (not zstd.returncode)
def zlib_stream(settings, plain):
    work, file = zlib.compressobj(settings.number(), zlib.DEFLATED, -15, settings.number()), spool(plain)
    for block in iter(lambda: file.read(1 << 20), b""): yield work.compress(block)  # not as it comes: that may show
    yield work.flush()
ENCODERS = {1: "pgzip", 2: "klauspost", 3: "Go", 4: zlib_stream, 5: "GNU gzip", 6: "pigz"}  # a name: it is not in here
def member(encoder, settings, plain):  # of a gzip file
    head, trailer, stream = settings.read(settings.number()), settings.read(8), ENCODERS.get(encoder, "unknown")
    if not callable(stream): raise UnknownEncoder("it needs encoder %d (%s), which is not in here" % (encoder, stream))
    yield from itertools.chain([head], stream(settings, plain), [trailer])
def crc32c(data, ones=0xFFFFFFFF):
    step = lambda crc, bit: crc >> 1 ^ 0x82F63B78 * (crc & 1 ^ bit)
    return struct.pack("<I", ones ^ functools.reduce(step, (byte >> i & 1 for byte in data for i in range(8)), ones))
class Reader(io.BytesIO):
    def number(self):
        byte = self.read(1)[0]
        return byte if byte < 128 else byte & 127 | self.number() << 7
    def digest(self):
        name, size = {1: ("sha256:", 32), 2: ("sha512:", 64)}[self.number()]
        return name + self.read(size).hex()
    def parts(self):
        for _ in range(self.number()):
            kind = [RANGE, RUN][self.number()]
            where, offset, length = self.digest() if kind else self.number(), self.number(), self.number()
            yield length, kind, where, offset
    def pieces(self):
        for _ in range(self.number()):
            kind, length = self.number(), self.number()
            if kind == 1: yield from self.parts(); continue
            yield length, REPLAY, (self.number(), self.read(self.number()), self.number(), self.number()), 0
            for _ in range(self.number()): self.number(), self.number(), self.read(4)  # restarts

class Volume:
    def __init__(self, path):
        self.path, self.size, self.root = path, os.path.getsize(path), None
        self.members, self.records, self.starts, self.places, self.end = {}, {}, [], [], 0
        head = self.read(512, 512)
        (version, draft, self.kind, zero, bits, self.id, self.lineage, self.generation, self.n, self.cap, self.time,
         self.parent) = struct.unpack_from("<HHBxH8xQ16s16sIIQQ16s", head, 8)
        check(crc32c(head[:508]) == head[508:] and not zero and not any(head[136:508]), "its header is damaged")
        check((version, draft, bits) == (1, 0, 0), "version %d, draft %d, bits %#x; not 1, 0, 0", version, draft, bits)
        attempt(path + " is cut or damaged", self.scan, head)
    def read(self, at, size, sha=None, told=b""):
        with open(self.path, "rb") as file: data = file.seek(at) == at and file.read(size * (at + size <= self.size))
        return check(len(data) == size and (not sha or hashlib.sha256(told + data).digest() == sha),
                     "%s is cut or damaged between bytes %d and %d", self.path, at, at + size) or data
    def scan(self, head):  # notes where everything is; what it holds is checked when it is used
        for member in tarfile.open(self.path, "r:"):
            at, end = member.offset_data, member.offset_data + member.size
            self.members[member.name] = at, member.size
            while at < end and re.match(r"packs/\d+\.p?zst$", member.name):
                magic, length, name, stored, size, start = struct.unpack("<II4s4xIIQ", self.read(at, 32))
                check((magic, name, start) == (0x184D2A57, b"OCMF", self.end), "the frame header at byte %d is damaged", at)
                self.starts.append(start), self.places.append(at)
                self.end, at = start + size, at + 8 + length + stored
            if member.name.endswith(".rec"):
                records = Reader(unzstd(self.read(at + 32, end - at - 32, self.read(at, 32)), 1 << 26))
                while records.tell() < records.getbuffer().nbytes:
                    body = records.read(records.number())
                    self.records[Reader(body).digest()] = body
        foot = self.read(max(0, self.size - 1536), 1536)
        check(foot[:12] == b"\x8fOCMF\n\x1a\n" + head[8:12] and crc32c(foot[:508]) == foot[508:512], "it has no footer")
        size, index, length, listed, sha, tail, stream = struct.unpack_from("<4Q32s48x32sQ", foot, 40)
        check(foot[16:36] == head[32:48] + head[68:72] and size == self.size < self.cap and stream == self.end and
              self.members.get("OCM.INDEX") == (index, length) and listed <= min(length, 1 << 26) and
              size - index - length < 1 << 28, "its footer does not fit it")
        self.read(index + length - listed, listed, sha), self.read(index + length, size - 2048 - index - length, tail)
        root = hashlib.sha256(b"ocm archive volume root\0" + head + sha + struct.pack("<Q", stream)).digest()
        self.root = check(root == foot[192:224], "its volume root is not that of its content") or root.hex()
    @functools.lru_cache(maxsize=64)
    def record(self, digest):  # size and parts of a blob, parts of its plain form, and digest and size of that
        record = Reader(self.records[digest])
        _, size, _, kind = record.digest(), record.number(), record.read(record.number()), record.number()
        verbatim = [(size, FILE, self.read, self.members.get("blobs/" + digest.replace(":", "/"), (self.size, 0))[0])]
        parts, kind = list([lambda: verbatim, record.parts, record.pieces][kind]()), record.number()
        layer = (record.digest(), record.number()) if kind == 2 else None
        return size, parts, [lambda: parts, lambda: None, lambda: list(record.parts())][kind](), layer
    @functools.lru_cache(maxsize=16)
    def frame(self, at):
        length, codec, stored, size, sha = struct.unpack("<4xI4xB3xII8x32s", self.read(at, 64))
        check(max(size, stored >> 1, length) <= 1 << 24 and codec in (1, 2), "a frame has codec %d: not known", codec)
        head = Reader(self.read(at + 8, length)[56:-4])
        data = self.read(at + 8 + length, stored, sha, head.getvalue())
        runs = [(head.digest(), head.number(), head.number()) for _ in range(head.read(1) and head.number() if codec == 2 else 0)]
        with tempfile.NamedTemporaryFile() as prefix:
            for run in runs: check(run[2] < 1 << 22, "run"), prefix.writelines(self.set.plain(*run)), prefix.flush()
            data = unzstd(data, size, *["--patch-from=" + prefix.name] * bool(runs))
        return check(len(data) == size, "%s: bad frame at %d", self.path, at) or data
    def stream(self, at, size):
        for i in range(bisect.bisect_right(self.starts, at) - 1, bisect.bisect_left(self.starts, at + size)):
            yield self.frame(self.places[i])[max(0, at - self.starts[i]):at + size - self.starts[i]]

class Set:
    def __init__(self, volumes):
        first, data = volumes[0], [volume for volume in volumes if volume.kind == 0]
        self.last = next((volume for volume in volumes if volume.root and "SET.json" in volume.members), None)
        about = {"lineage": {"name": "?"}, "ancestors": [{"id": first.parent.hex()}], "volumes": []}
        if self.last: about = json.loads(self.text("SET.json"))
        roots = {v["n"]: v["root"][-64:] for v in about["volumes"]} or {v.n: v.root for v in data if v.root}
        whole = {volume.n: volume for volume in data if volume.root and volume.root == roots.get(volume.n)}
        self.volumes = {**{volume.n: volume for volume in data if not volume.root}, **whole}
        self.missing = [n for n in range(1, min(max(roots, default=0), 65535) + 1) if n not in whole]
        self.missing += [] if self.last else ["the last"]
        self.name = "set %s, generation %d of %a" % (first.id.hex()[:8], first.generation, about["lineage"]["name"])
        self.chain = [first.id.hex()] + [ancestor["id"] for ancestor in about["ancestors"]]
        self.age, self.lineage = (first.generation, first.time), first.lineage
        for volume in data: volume.set = self
    def text(self, name): return self.last.read(*self.last.members[name]).decode()
    def find(self, digest):  # the nearest set of the chain that has a record of the blob, and the record
        for owner in [sets[name] for name in self.chain if sets.get(name)]:
            for volume in owner.volumes.values():
                if digest in volume.records: return (owner,) + volume.record(digest)
        raise Damage("no volume here has it; missing sets: %s" % [name for name in self.chain if not sets.get(name)])
    def span(self, parts, at, size, plain=()):  # bytes of a list of parts
        for length, kind, where, offset in parts:
            take, offset, at = min(length - at, size), offset + at, max(0, at - length)
            if take <= 0: continue
            size -= take
            if kind == REPLAY: yield from member(where[0], Reader(where[1]), self.span(plain, *where[2:]))
            check(kind != RANGE or where in self.volumes, "volume %s of %s is missing", where, self.name)
            yield from ([where(offset, take)] if kind == FILE else self.plain(where, offset, take) if kind == RUN else
                        self.volumes[where].stream(offset, take) if kind == RANGE else [])
    def plain(self, digest, at, size):  # bytes of the plain form of a blob, of this set or an earlier one
        owner, stored, parts, plain, _ = self.find(digest)
        if plain: return (yield from owner.span(plain, at, size))
        with spool(owner.span(parts, 0, stored)) as packed, gzip.open(packed) as file:
            yield file.seek(at) == at and file.read(size)
    def restore(self, out, done):
        index = json.loads(self.text("index.json"))["manifests"] if self.last else []
        own = {digest: volume for volume in self.volumes.values() for digest in volume.records}
        todo, seen = index + [{"digest": digest} for digest in reversed(list(own))], set()
        while todo:
            entry = todo.pop()
            digest, tree = entry["digest"], TREE.match(entry.get("mediaType", ""))
            if digest not in own and (tree and entry not in index or "urls" in entry): continue  # was left out
            if digest not in done: done[digest] = attempt("blob %a" % digest, self.write, out, digest)
            if tree and done[digest] and digest not in seen:
                with open(done[digest], "rb") as file: body = json.loads(file.read().decode())
                todo += body.get("manifests", []) + body.get("layers", []) + [body.get("config")] * ("config" in body)
                seen.add(digest)
    def write(self, out, digest):
        owner, size, parts, plain, layer = self.find(digest)
        try: return save(out, digest, owner.span(parts, 0, size, plain), UnknownEncoder if layer else Damage)
        except UnknownEncoder as error:
            path = save(out, layer[0], owner.span(plain, 0, layer[1]), Damage)
            raise UnknownEncoder("%s; its uncompressed layer is now %s; restore-gzip.py gives the gzip" % (error, path))
def save(out, digest, chunks, failure):
    path, total = os.path.join(out, "blobs", *digest.split(":")), hashlib.new(digest[:6])
    with open(os.path.join(out, "restore.part"), "wb") as file:
        for chunk in chunks: total.update(chunk), file.write(chunk)
    if total.hexdigest() != digest[7:]: raise failure("its bytes do not match the digest %s" % digest)
    return os.renames(file.name, path) or path
def main(source, out):
    volumes, done = {}, os.makedirs(out, exist_ok=True) or {}
    for path in sorted(os.path.join(source, n) for n in os.listdir(source) if n[0] != "." and n[-8:] != ".partial"):
        with open(path, "rb") if os.path.isfile(path) else io.BytesIO() as file: magic = file.read(520)[512:]
        volume = magic == b"\x8fOCM\r\n\x1a\n" and attempt(path, Volume, path)
        if volume: volumes.setdefault(volume.id.hex(), []).append(volume)
    sets.update((name, attempt("set " + name, Set, group)) for name, group in volumes.items())
    known = sorted(filter(None, sets.values()), key=lambda one: one.age)
    newest = {one.lineage: one for one in sorted(known, key=lambda one: not one.missing)}  # the last of them stays
    attempt(source, check, known, "no volume of an ocm archive is here")
    for one in known:
        print("%s: %s" % (one.name, "restoring" if one is newest[one.lineage] else "not the newest whole one"))
        attempt(one.name, check, not one.missing or one.age < newest[one.lineage].age, "lacks volumes %s", one.missing)
    for one in newest.values(): attempt(one.name, one.restore, out, done)
    with open(os.path.join(out, "restore.part"), "w") as file: os.remove(file.name)  # of a blob that failed
    texts = [one.text("index.json") for one in newest.values() if one.last]
    merged = {"schemaVersion": 2, "manifests": [entry for text in texts for entry in json.loads(text)["manifests"]]}
    text = texts[0] if len(texts) == 1 else json.dumps(merged)
    for name, text in (("oci-layout", '{"imageLayoutVersion":"1.0.0"}'), ("index.json", text)):
        with open(os.path.join(out, name), "w") as file: file.write(text)
    return print("%d of %d blobs: %s" % (sum(map(bool, done.values())), len(done), out)) or min(exit_codes, default=0)
if __name__ == "__main__": sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 3 else print(__doc__, file=sys.stderr) or 2)

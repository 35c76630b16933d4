#!/usr/bin/env python3
"""Restores the images of an ocm archive, gzip layers bit for bit:  restore-gzip.py ARCHIVE_DIR OUT

What restore.py does, which has to lie beside this file, with the encoders that it lacks: pgzip and klauspost/compress at
level 5 (1.9.0 and later), compress/flate of Go up to 1.26 at levels 1 and 4 to 9. Not those of GNU gzip and pigz.
It is slow: half a megabyte in a second, with pgzip on each processor. Needs Python 3.6 and zstd."""
import collections, itertools, math, mmap, multiprocessing, os, struct, sys, types
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import restore

LITERALS, DISTANCES, END = 286, 30, 256  # symbols of each code, and the one that ends a block
CHUNK, REACH, LONGEST, NONE = 65535, 32768, 258, -1 << 20  # bytes; and the place of nothing, which is never near
number = int.from_bytes

# Bits are text while they are made: "0" and "1", the first one first.

def field(value, bits):
    return format(value, "0%db" % bits)[::-1] if bits else ""

class Bits:
    def __init__(self):
        self.done, self.text = bytearray(), []
    def put(self, *texts):
        self.text += texts
    def take(self):  # the bytes that are whole
        text = "".join(self.text)
        whole = len(text) & ~7
        self.text = [text[whole:]]
        done, self.done = self.done + int(text[:whole][::-1] or "0", 2).to_bytes(whole >> 3, "little"), bytearray()
        return bytes(done)
    def append(self, data):  # at the next whole byte
        self.text.append("0" * (-sum(map(len, self.text)) % 8))
        self.done = bytearray(self.take()) + data
    def stored(self, data, begin="000"):
        self.put(begin)
        self.append(struct.pack("<HH", len(data), len(data) ^ 0xFFFF) + data)

# Symbols and codes. A token is a byte, or the length of a copy << 16 | its distance.

def spread(first, extras):  # for each value from `first` on: its symbol, and the bits that follow that
    out = [None] * first
    for symbol, bits in enumerate(extras):
        out += [(symbol, field(value, bits)) for value in range(1 << bits)]
    return out

LENGTH_EXTRA = [0] * 8 + [bits for bits in range(1, 6) for _ in range(4)] + [0]
DISTANCE_EXTRA = [0, 0] + [bits for bits in range(14) for _ in range(2)]
LENGTH = spread(3, LENGTH_EXTRA[:-1])[:LONGEST] + [(28, "")]
DISTANCE = spread(1, DISTANCE_EXTRA)

class Counts:  # how often symbols occur
    def __init__(self, tokens):
        self.literals, self.distances = [0] * LITERALS, [0] * DISTANCES
        for token, count in collections.Counter(tokens).items():
            if token < 256:
                self.literals[token] = count
            else:
                self.literals[257 + LENGTH[token >> 16][0]] += count
                self.distances[DISTANCE[token & 0xFFFF][0]] += count
    def extra(self):  # bits that follow symbols
        return (sum(map(int.__mul__, self.literals[257:], LENGTH_EXTRA)) +
                sum(map(int.__mul__, self.distances, DISTANCE_EXTRA)))
    def have_a_distance(self):
        if not any(self.distances):
            self.distances[0] = 1
    def extent(self):  # how many symbols a header describes
        return [1 + max([least] + [symbol for symbol, count in enumerate(counts) if count])
                for counts, least in ((self.literals, END), (self.distances, 0))]

class Code:
    def __init__(self, lengths):
        self.lengths, self.words = lengths, [""] * len(lengths)
        word = last = 0
        for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths) if length):
            word, last = word << length - last, length
            self.words[symbol] = format(word, "0%db" % length)
            word += 1
    def cost(self, counts):
        return sum(map(int.__mul__, self.lengths, counts))
    def covers(self, counts):
        return all(length or not count for length, count in zip(self.lengths, counts))

def made_for(counts, limit=15):  # the code that the encoders make: by package-merge, packages before leaves of equal weight
    leaves = sorted((count, symbol) for symbol, count in enumerate(counts) if count)
    lengths = [0] * len(counts)
    weights = below = [count for count, _ in leaves]
    levels = [[1] * len(leaves)]  # of each item, whether it is a leaf
    for _ in range(min(limit, len(leaves) - 1) - 1):
        packages = [(sum(pair), 0) for pair in zip(below[::2], below[1::2])]
        items = sorted(packages + [(weight, 1) for weight in weights])
        below = [weight for weight, _ in items]
        levels.append([leaf for _, leaf in items])
    items = max(2 * len(leaves) - 2, 1)
    for level in reversed(levels):
        taken = sum(level[:items])
        for _, symbol in leaves[:taken]:
            lengths[symbol] += 1
        items = 2 * (items - taken)
    return Code(lengths)

FIXED = Code([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8), Code([5] * DISTANCES)
ORDER = 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15

def header(literals, distances):  # of a block with these codes, given by the lengths of words
    symbols = []
    for length, run in itertools.groupby(literals + distances):
        count = len(list(run))
        if length:
            symbols.append((length, ""))
            count -= 1
        for symbol, least, most, bits in (16, 3, 6, 2) if length else (18, 11, 138, 7), (17, 3, 10, 3):
            while count >= least and (symbol != 17 or not length):
                taken = min(count, most)
                symbols.append((symbol, field(taken - least, bits)))
                count -= taken
        symbols += [(length, "")] * count
    counts = collections.Counter(symbol for symbol, _ in symbols)
    code = made_for([counts[symbol] for symbol in range(19)], 7)
    lengths = [code.lengths[symbol] for symbol in ORDER]
    while not lengths[-1] and len(lengths) > 4:
        lengths.pop()
    sizes = field(len(literals) - 257, 5), field(len(distances) - 1, 5), field(len(lengths) - 4, 4)
    return "001" + "".join(sizes) + "".join(field(length, 3) for length in lengths) + "".join(
        code.words[symbol] + extra for symbol, extra in symbols)

def coded(tokens, literals, distances):  # tokens in the words of two codes
    words = {}
    for token in set(tokens):
        if token < 256:
            words[token] = literals.words[token]
        else:
            (length, extra), (distance, more) = LENGTH[token >> 16], DISTANCE[token & 0xFFFF]
            words[token] = literals.words[257 + length] + extra + distances.words[distance] + more
    return "".join(map(words.__getitem__, tokens))

def stored_bits(size):
    return 8 * (size + 5)

def common(data, left, right, end):  # how many bytes are equal, those at `right` up to `end`
    most, count = end - right, 0
    while count < most:
        at, to = left + count, right + count
        different = number(data[at:at + 32], "little") ^ number(data[to:to + 32], "little")
        if different:
            return min(most, count + ((different & -different).bit_length() - 1 >> 3))
        count += 32
    return max(most, 0)

# klauspost/compress, level 5

def rules(generation):  # what a generation does; each differs in few points from the next newer one
    found = dict(bits=15, skips=2, splits_early=False, has_history=True, ends_stored=False, fills=False, penalty=7, clamp=(1, 15),
                 guesses_end=True, literals="exact", trims=True, counts_end=True, fixed_below=250, tests_noise=True)
    for older, change in ((90, {}), (91, dict(counts_end=False)), (80, dict(trims=False)), (81, dict(skips=0)),
                          (72, dict(splits_early=True)), (71, dict(fixed_below=math.inf, tests_noise=False)),
                          (70, dict(guesses_end=False)), (61, dict(fills=True, penalty=8)),
                          (60, dict(clamp=(-math.inf, math.inf), literals="spread")), (50, dict(skips=None)),
                          (40, dict(penalty=6, literals="entropy")), (30, dict(bits=16, ends_stored=True)),
                          (20, dict(has_history=False)), (10, dict(clamp=None, literals="ceiling"))):
        found.update(change)
        if older == generation:
            return types.SimpleNamespace(**found)
    raise restore.UnknownEncoder("it needs generation %d of klauspost/compress, which is not in here" % generation)

def single(value):  # rounded to a floating point number of 32 bits
    return struct.unpack("f", struct.pack("f", value))[0]

def logarithm(value):  # about the binary one: the exponent, and a parabola for the mantissa
    bits, = struct.unpack("I", struct.pack("f", value))
    mantissa, = struct.unpack("f", struct.pack("I", bits & 0x7FFFFF | 127 << 23))
    a, b, c = single(-0.34484843), single(2.02466578), single(0.67487759)
    return single((bits >> 23 & 255) - 128 + single(single(single(single(a * mantissa) + b) * mantissa) - c))

def entropy(total, counts, inverse, least=1, most=15):
    for count in filter(None, counts):
        total = single(total + single(min(max(-logarithm(single(count * inverse)), least), most) * count))
    return total

def exact_logarithm(value):
    fraction, exponent = math.frexp(value)
    return exponent - 1 if fraction == 0.5 else exponent + math.log(fraction) * (1 / math.log(2))

def ceiling(counts, inverse):
    return sum(math.ceil(-exact_logarithm(count * inverse) * count) for count in counts if count)

class Klauspost:  # one stream, or one piece of pgzip
    def __init__(self, generation):
        self.rules = rules(generation)
        self.short, self.recent, self.older = ([NONE] * (1 << self.rules.bits) for _ in range(3))
        self.out, self.open, self.header_bits = Bits(), None, 0  # open: what a block that waits for its end has codes for
    def chunk(self, data, start):
        end = min(start + CHUNK, len(data))
        size, is_last = end - start, end == len(data)
        if is_last and size <= 32:
            return self.stored(data[start:end])
        tokens = [] if is_last and size <= 127 else self.search(data, start, end)
        if len(tokens) > size - (size >> 4) or is_last and size <= 127:
            self.literals_alone(data[start:end], is_last)
        elif tokens:
            (self.filled if self.rules.fills else self.tokens)(tokens, data[start:end], is_last)
        else:
            self.stored(data[start:end])

    def search(self, data, start, end):
        bits, skips, short, recent, older = self.rules.bits, self.rules.skips, self.short, self.recent, self.older
        tokens, limit, emitted, ahead = [], end - 11, start, start
        low, shift, long_shift = 0xFFFFFFFF, 32 - bits, 64 - bits
        def slots(at):
            word = number(data[at:at + 8], "little")
            return ((word & low) * 2654435761 & low) >> shift, ((word << 8) * 58295818150454627 & (1 << 64) - 1) >> long_shift
        def put(at):
            near, far = slots(at)
            short[near], recent[far], older[far] = at, at, recent[far]
        def put_short(at): short[slots(at)[0]] = at
        def put_long(at):
            far = slots(at)[1]
            recent[far], older[far] = at, recent[far]
        def fits(candidate, at):
            return at - candidate < REACH and data[candidate:candidate + 4] == data[at:at + 4]
        def length_of(candidate, at):  # as it is compared
            return common(data, candidate, at, min(end, at + LONGEST))
        while True:
            while True:  # a place whose bytes occurred before
                at, ahead = ahead, ahead + 1 + (ahead - emitted >> 6)
                if ahead > limit:
                    if tokens:
                        tokens += data[emitted:end]
                    return tokens
                near, far = slots(at)
                by_four, newer, elder = short[near], recent[far], older[far]
                short[near], recent[far], older[far] = at, at, newer
                if at - newer < REACH:
                    of_elder = elder if fits(elder, at) else None
                    if fits(newer, at):
                        put(ahead)
                        longer = of_elder is not None and length_of(elder, at) > length_of(newer, at)
                        place = elder if longer else newer
                        break
                    if of_elder is not None:
                        put(ahead)
                        place = elder
                        break
                if fits(by_four, at):
                    place, best, far = by_four, length_of(by_four, at), slots(ahead)[1]
                    newer, elder = recent[far], older[far]
                    put(ahead)
                    if ahead - newer < REACH:
                        found = next((one for one in (newer, elder) if fits(one, ahead) and length_of(one, ahead) > best), None)
                        if found is not None:
                            place, at = found, ahead
                    break
            size = common(data, place, at, end)
            after = at + size
            if skips is not None and size < 30 and after < limit:  # another distance, by what follows
                distance, other = after - recent[slots(after)[1]], at + skips
                if 0 < distance < REACH and other >= distance:
                    longer = common(data, other - distance, other, end)
                    if longer > size:
                        place, at, size = other - distance, other, longer
            while place > 0 and at > emitted and data[place - 1] == data[at - 1]:
                place, at, size = place - 1, at - 1, size + 1
            tokens += data[emitted:at]
            rest = size
            while rest:
                part = rest if rest <= LONGEST else 255 if rest <= 261 or self.rules.splits_early else LONGEST
                tokens.append(part << 16 | at - place)
                rest -= part
            emitted = at + size
            ahead = max(emitted, ahead + 1)
            if ahead >= limit:
                return tokens + list(data[emitted:end])
            to = ahead - size + 1
            if to < ahead - 1:
                put(to), put_long(to + 1), put_short(to + 2)
                for to in range(to + 4, ahead - 1, 3):
                    put_long(to), put_short(to + 1)
            put(ahead - 1)

    def close(self):
        if self.open:
            self.out.put(self.literals.words[END])
            self.open = None
    def stored(self, data):
        self.close()
        self.out.stored(data)
    def fixed(self, tokens):
        self.close()
        self.out.put("010", coded(tokens, *FIXED), FIXED[0].words[END])
    def go_on(self, tokens, is_last):
        self.out.put(coded(tokens, self.literals, self.distances))
        if is_last:
            self.close()
    def begin(self, tokens, is_last):
        self.out.put(self.header)
        self.open = "tokens"
        self.go_on(tokens, is_last)
    def plan(self, counts, extent):  # codes and a header for these symbols; gives what they take
        self.literals, self.distances = made_for(counts.literals), made_for(counts.distances)
        self.header = header(self.literals.lengths[:extent[0]], self.distances.lengths[:extent[1]])
        self.header_bits = len(self.header)
        return self.header_bits + self.size_in_open(counts)
    def size_in_open(self, counts):
        return self.literals.cost(counts.literals) + self.distances.cost(counts.distances)
    def guess(self, counts, tokens):  # what a block of its own would take, without its header
        copies, extra = sum(counts.literals[257:]), counts.extra()
        if self.rules.clamp is None:
            lengths, distances = counts.literals[257:], counts.distances  # their extra bits went by how often they occur
            extra = sum((LENGTH_EXTRA[:-1] + [0] * 4)[count % 32] * count for count in lengths)
            extra += sum(max(count % 32 - 2, 0) // 2 * count for count in distances)
            total = ceiling(counts.literals[:END], 1 / tokens) + ceiling(lengths, 1 / tokens) + 15
            return total + (ceiling(distances, 1 / copies) if copies else 0) + extra
        inverse = single(1 / tokens)
        total = single(entropy(0.0, counts.literals[:END], inverse, *self.rules.clamp) + 15)
        total = entropy(total, counts.literals[257:], inverse, *self.rules.clamp)
        if copies:
            total = entropy(total, counts.distances, single(1 / copies), *self.rules.clamp)
        return int(total) + extra

    def tokens(self, tokens, data, is_last):
        rules, counts, total, stored = self.rules, Counts(tokens), len(tokens) + is_last, stored_bits(len(data))
        counts.literals[END] = int(is_last)
        if not (self.open == "tokens" and self.literals.covers(counts.literals) and self.distances.covers(counts.distances)):
            self.close()
        if rules.counts_end:
            counts.literals[END] = 1
        extent = LITERALS, DISTANCES
        if is_last or rules.trims:
            counts.have_a_distance()
            extent = counts.extent()
        extra, fixed = counts.extra(), lambda: 3 + FIXED[0].cost(counts.literals) + FIXED[1].cost(counts.distances)
        if self.open:
            guess = self.header_bits + self.guess(counts, total - (0 if rules.guesses_end else counts.literals[END]))
            new = guess + self.literals.lengths[END] + (guess >> rules.penalty)
            more = self.size_in_open(counts) + extra
            if new < more:
                self.close()
            size = min(new, more)
            if total < rules.fixed_below and fixed() + extra + 7 < size:
                return self.stored(data) if stored <= size else self.fixed(tokens)
            if stored <= size:
                return self.stored(data)
            if self.open:
                return self.go_on(tokens, is_last)
        counts.literals[END] = 1
        size = self.plan(counts, extent) + extra
        if total < rules.fixed_below and fixed() + extra <= size:
            return self.stored(data) if stored <= fixed() + extra else self.fixed(tokens)
        self.stored(data) if stored <= size else self.begin(tokens, is_last)

    def filled(self, tokens, data, is_last):  # up to 1.13: in the middle of a piece every symbol has a word
        if self.open == "bytes":
            self.close()
        counts, total, extent = Counts(tokens), len(tokens), (LITERALS, DISTANCES)
        if is_last:
            counts.literals[END] = 1
            extent = counts.extent()
        else:
            total += counts.literals.count(0)
            counts.literals = [max(count, 1) for count in counts.literals]
            counts.distances = [max(count, 1) for count in counts.distances]
        guess = self.guess(counts, total)
        counts.have_a_distance()
        extra = counts.extra()
        is_hardly_less = lambda size: stored_bits(len(data)) < size + (size >> 4)
        if self.open:
            guess += self.header_bits
            new = guess + (guess >> self.rules.penalty)
            more = self.size_in_open(counts) + extra + (self.header_bits if self.rules.clamp is None else 0)
            if new < more:
                self.close()
            if is_hardly_less(min(new, more)):
                return self.stored(data)
            if self.open:
                return self.go_on(tokens, is_last)
        self.stored(data) if is_hardly_less(self.plan(counts, extent) + extra) else self.begin(tokens, is_last)

    def literals_alone(self, data, is_last):
        rules, counts, stored = self.rules, Counts(data), stored_bits(len(data))
        occurring, way = counts.literals[:256], rules.literals
        if rules.tests_noise and len(data) > 1024:
            total = 0.0
            for count in occurring:
                total += (count - len(data) / 256) * (count - len(data) / 256)
            if total < 2 * len(data):
                return self.stored(data)
        at_least_one = [count if is_last else max(count, 1) for count in occurring]
        missing, with_penalty = 0 if is_last else occurring.count(0), lambda size: size + (size >> rules.penalty)
        head = self.header_bits if self.open else 560
        cost = lambda those: self.literals.cost(those) if self.open else 0
        if way == "exact":
            counts.literals[END] = 1
            code = made_for(counts.literals)
            block = new = with_penalty(code.cost(counts.literals) + head)
            more = cost(occurring) if self.open and self.literals.covers(occurring) else math.inf
            prefers_stored = stored <= block
        elif way == "ceiling":
            block = ceiling(occurring, 1 / len(data)) + missing * math.ceil(-exact_logarithm(1 / len(data))) + 15
            new, more = with_penalty(block), cost(at_least_one) + 2 * self.header_bits
            prefers_stored = stored < block + (block >> 4)
        else:
            spread = way == "spread"
            inverse, lacking = single(1 / (len(data) + missing * spread)), 0.0
            guess = int(single(entropy(0.0, occurring, inverse, 1, math.inf) + single(0.99)))
            for _ in range(occurring.count(0)):
                lacking = single(lacking + max(-logarithm(inverse), 1))
            block = with_penalty(guess + head + (len(data) // 32 if spread else 15))
            new = block + (0 if is_last or spread else int(single(lacking + single(0.99))))
            more = cost(occurring if spread else at_least_one)
            prefers_stored = stored < block
        if prefers_stored:
            return self.stored(data)
        if self.open and new < more:
            self.close()
        if not self.open:
            if way != "exact":
                code = made_for(at_least_one + [1] + [0] * 29)
            self.literals, self.open = code, "bytes"
            text = header(code.lengths[:END + 1], [1])
            self.header_bits = len(text)
            self.out.put(text)
        self.out.put("".join(map(self.literals.words.__getitem__, data)))
        if is_last:
            self.close()

    def end(self):
        self.close()
        self.out.stored(b"", "100") if self.rules.ends_stored else self.out.put("1100000000")
        self.out.append(b"")
        return self.out.take()

def piece(job):  # of pgzip
    generation, history, data = job
    work = Klauspost(generation)
    history *= work.rules.has_history
    data = history + data
    work.search(history, 0, len(history))
    for start in range(len(history), len(data), CHUNK):
        work.chunk(data, start)
    work.stored(b"")
    return work.out.take()

def pgzip(settings, plain):
    generation, size = settings.number(), settings.number()
    rules(generation), restore.check(16384 < size <= 1 << 24, "it needs pieces of %d bytes", size)
    def jobs():  # the last piece is not full; there may be nothing in it
        file, history, data = restore.spool(plain), b"", bytes(size)
        while len(data) == size:
            data = file.read(size)
            yield generation, history, data
            history = data[-16384:]
    waiting, processors = jobs(), os.cpu_count() or 1
    with multiprocessing.Pool(processors) as pool:
        for first in waiting:  # not all at once
            yield from pool.map(piece, [first] + list(itertools.islice(waiting, 2 * processors)), 1)
    yield Klauspost(generation).end()

# Encoders of one stream see all of it at once.

def whole(plain):
    file = restore.spool(plain)
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if file.seek(0, os.SEEK_END) else b""

def klauspost(settings, plain):
    work, data = Klauspost(settings.number()), whole(plain)
    for start in range(0, len(data), CHUNK):
        work.chunk(data, start)
        yield work.out.take()
    yield work.end()

# compress/flate of Go

class Go:
    def __init__(self):
        self.out = Bits()
    def plan(self, tokens):
        counts = Counts(tokens)
        counts.literals[END] = 1
        counts.have_a_distance()
        extent = counts.extent()
        codes = made_for(counts.literals), made_for(counts.distances)
        return counts, codes, header(codes[0].lengths[:extent[0]], codes[1].lengths[:extent[1]])
    def block(self, tokens, codes, head):
        self.out.put(head, coded(tokens, *codes), codes[0].words[END])
    def quick(self, tokens, raw):  # stored unless that takes more by a 16th; extra bits are left out
        counts, codes, head = self.plan(tokens)
        size = len(head) + codes[0].cost(counts.literals) + codes[1].cost(counts.distances)
        self.out.stored(raw) if stored_bits(len(raw)) < size + (size >> 4) else self.block(tokens, codes, head)
    def best(self, tokens, raw):
        counts, codes, head = self.plan(tokens)
        own, fixed = (codes[0].cost(counts.literals) + codes[1].cost(counts.distances) + counts.extra()
                      for codes in (codes, FIXED))
        own, fixed = own + len(head), fixed + 3
        if raw is not None and len(raw) <= CHUNK and stored_bits(len(raw)) < min(own, fixed):
            self.out.stored(raw)
        else:
            self.block(tokens, codes, head) if own < fixed else self.block(tokens, FIXED, "010")

    def fast(self, data):
        table = [(0, NONE)] * (1 << 14)
        def swap(at):  # remembers a place; gives where its 4 bytes were before, if that is near
            word = number(data[at:at + 4], "little")
            slot = (word * 0x1E35A7BD & 0xFFFFFFFF) >> 18
            before, table[slot] = table[slot], (word, at)
            return before[1] if before[0] == word and at - before[1] <= REACH else None
        for start in range(0, len(data), CHUNK):
            end = min(start + CHUNK, len(data))
            raw = data[start:end]
            if len(raw) <= 16:
                self.out.stored(raw)
                continue
            tokens = [] if len(raw) < 128 else self.copies(data, start, end, swap)
            self.quick(tokens if 0 < len(tokens) <= len(raw) - (len(raw) >> 4) else raw, raw)
            yield self.out.take()
    def copies(self, data, start, end, swap):
        tokens, limit, emitted, ahead = [], end - 15, start, start
        while True:
            skip, found = 32, None
            while found is None:
                at, ahead = ahead, ahead + (skip >> 5)
                skip += skip >> 5
                if ahead > limit:
                    return tokens + list(data[emitted:end])
                found = swap(at)
            tokens += data[emitted:at]
            emitted = at
            while found is not None:
                size = 4 + common(data, found + 4, emitted + 4, min(end, emitted + LONGEST))
                tokens.append(size << 16 | emitted - found)
                emitted += size
                if emitted >= limit:
                    return tokens + list(data[emitted:end])
                swap(emitted - 1)
                found = swap(emitted)
            ahead = emitted + 1

    def lazy(self, data, patience, nice, chain):
        heads, before, size = [NONE] * (1 << 17), [NONE] * REACH, len(data)
        base, seen, at, pending, length, distance = 0, min(2 * REACH, size), 0, False, 3, 0
        tokens, start = [], 0
        def insert(at):
            slot = (number(data[at:at + 4], "big") * 0x1E35A7BD & 0xFFFFFFFF) >> 15
            candidate = before[at % REACH] = heads[slot]
            heads[slot] = at
            return candidate
        while at < seen or seen < size:
            if seen - at < 262 and seen < size:  # the window moves on
                base += REACH
                seen = min(base + 2 * REACH, size)
                start = start if start is not None and start >= base else None
                continue
            length_before, distance_before, length, distance = length, distance, 3, 0
            lowest, most = max(base, at - REACH), min(LONGEST, seen - at)
            candidate = insert(at) if at < seen - 3 else NONE
            if length_before < patience and seen - at > length_before:
                for _ in range(chain):
                    if candidate < lowest:
                        break
                    if data[candidate + length] == data[at + length]:
                        found = common(data, candidate, at, at + most)
                        if found > length and (found > 4 or at - candidate <= 4096):
                            length, distance = found, at - candidate
                            if found >= min(nice, most):
                                break
                    if at - candidate == REACH:
                        break
                    candidate = before[candidate % REACH]
            took = length_before >= 4 and length <= length_before
            if took:
                tokens.append(length_before << 16 | distance_before)
                for other in range(at + 1, min(at + length_before - 1, seen - 3)):
                    insert(other)
                at, pending, length = at + length_before - 1, False, 3
            elif pending:
                tokens.append(data[at - 1])
            if len(tokens) == 1 << 14:
                self.best(tokens, None if start is None else data[start:at])
                yield self.out.take()
                tokens, start = [], at
            if not took:
                at, pending = at + 1, True
        if pending:
            tokens.append(data[at - 1])
        if tokens:
            self.best(tokens, None if start is None else data[start:at])

EFFORT = {4: (4, 16, 16), 5: (16, 32, 32), 6: (16, 128, 128), 7: (32, 128, 256), 8: (128, 258, 1024), 9: (258, 258, 4096)}

def go(settings, plain):
    level, work = settings.number(), Go()
    if level != 1 and level not in EFFORT:
        raise restore.UnknownEncoder("it needs level %d of Go, which is not in here" % level)
    yield from work.fast(whole(plain)) if level == 1 else work.lazy(whole(plain), *EFFORT[level])
    work.out.stored(b"", "100")
    yield work.out.take()

if __name__ == "__main__":
    restore.ENCODERS.update({1: pgzip, 2: klauspost, 3: go})
    sys.exit(restore.main(*sys.argv[1:]) if len(sys.argv) == 3 else print(__doc__, file=sys.stderr) or 2)

//! Inputs that are the same everywhere, and one that is not: the programs of this machine.

/// The sizes near which windows move and blocks end.
const SIZES: [usize; 9] = [32_000, 65_273, 65_275, 65_535, 65_536, 98_303, 131_072, 262_144, 300_001];

/// Pseudo-random numbers.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() % bound
    }

    pub(crate) fn bytes(&mut self, count: usize, letters: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(letters) as u8).collect()
    }
}

/// Fresh bytes, zeros and repeats, some of these as far away as matches can be.
pub(crate) fn mixture(seed: u64, size: usize, letters: usize) -> Vec<u8> {
    let mut noise = Noise(seed | 1 << 40);
    let mut out = Vec::new();
    while out.len() < size {
        match noise.below(10) {
            0..3 => out.extend(noise.bytes([1, 5, 40, 300, 4000][seed as usize % 5], letters)),
            3 => out.resize(out.len() + [1, 7, 100, 600, 5000][noise.below(5)], 0),
            _ if out.is_empty() => out.push(b'a'),
            _ => repeat(&mut out, &mut noise),
        }
    }
    out.truncate(size);
    out
}

fn repeat(out: &mut Vec<u8>, noise: &mut Noise) {
    let distance = [1 + noise.below(out.len()), 32_505, 32_506, 32_507, 32_768, 4096, 4097, 1, 2, 3][noise.below(10)].min(out.len());
    for _ in 0..[3, 3, 4, 5, 10, 100, 257, 258, 259, 600][noise.below(10)] {
        out.push(out[out.len() - distance]);
    }
}

pub(crate) fn text(size: usize) -> Vec<u8> {
    const WORDS: [&str; 12] =
        ["layer", "blob ", "the ", "of ", "digest ", "sha256:", "\n", "    ", "index", "{\"size\": ", "archive ", "mirror, "];
    let mut noise = Noise(99);
    let mut out = String::new();
    while out.len() < size {
        out.push_str(WORDS[noise.below(WORDS.len())]);
        if noise.below(5) == 0 {
            out.push_str(&noise.below(100_000).to_string());
        }
    }
    out.into_bytes()
}

pub(crate) fn inputs() -> Vec<(String, Vec<u8>)> {
    let mut inputs = vec![
        ("nothing".to_owned(), Vec::new()),
        ("a byte".to_owned(), vec![7]),
        ("two bytes".to_owned(), vec![7, 7]),
        ("a word".to_owned(), b"abracadabra".to_vec()),
        ("text".to_owned(), text(400_000)),
        ("zeros".to_owned(), vec![0; 300_000]),
        ("noise".to_owned(), Noise(5).bytes(200_000, 256)),
        ("few letters".to_owned(), Noise(6).bytes(200_000, 3)),
        ("a period".to_owned(), Noise(7).bytes(1000, 256).repeat(150)),
        ("a long period".to_owned(), Noise(8).bytes(32_506, 256).repeat(5)),
        ("noise, then text".to_owned(), [Noise(9).bytes(70_000, 256), text(70_000)].concat()),
    ];
    for (seed, size) in (1..).zip(SIZES) {
        let letters = [2, 16, 256][seed as usize % 3];
        inputs.push((format!("mixture {seed}"), mixture(seed, size, letters)));
    }
    inputs
}

/// Files of the machine, each after a head and padded as in a tar.
pub(crate) fn binaries(size: usize) -> Vec<u8> {
    let mut paths: Vec<_> =
        std::fs::read_dir("/usr/bin").map(|list| list.flatten().map(|entry| entry.path()).collect()).unwrap_or_default();
    paths.sort();
    paths.extend(std::env::current_exe());
    let mut out = Vec::new();
    for path in paths.iter().filter(|path| path.is_file()) {
        out.extend(path.to_string_lossy().as_bytes());
        out.resize(out.len().next_multiple_of(512), 0);
        out.extend(std::fs::read(path).unwrap_or_default());
        out.resize(out.len().next_multiple_of(512), 0);
        if out.len() > size {
            break;
        }
    }
    out.truncate(size);
    out
}

//! Inputs that a few characters name, as `X(5000000,7)`: a letter, how many bytes, and a seed or period.
//!
//! **Invariants.** The same name always makes the same bytes: the outputs in `golden` belong to them.

const WORDS: [&str; 17] = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "lazy",
    "dog",
    "/usr/lib/x86_64-linux-gnu/",
    "share",
    "doc",
    "copyright",
    "root:root",
    "0644",
    "package\n",
    "Version:",
    "1.2.3-4",
];

/// The input of this name.
pub(crate) fn input(name: &str) -> Vec<u8> {
    let (kind, arguments) = name.trim_end_matches(')').split_once('(').expect("a letter and arguments");
    let mut arguments = arguments.split(',').map(|number| number.parse::<u64>().expect("a number"));
    let bytes = usize::try_from(arguments.next().expect("a length")).expect("a small length");
    let seed = arguments.next().unwrap_or(1);
    match kind {
        "Z" => vec![0; bytes],
        "P" => (0..bytes).map(|at| (at as u64 % seed) as u8).collect(),
        "R" => random(bytes, seed),
        "S" => sparse(bytes, seed),
        "T" => text(bytes, seed),
        "X" => mixed(bytes, seed),
        _ => panic!("{name} is no input"),
    }
}

/// A generator of numbers.
struct Numbers(u64);

impl Numbers {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Noise.
fn random(bytes: usize, seed: u64) -> Vec<u8> {
    let mut numbers = Numbers::new(seed);
    let mut out: Vec<u8> = (0..bytes.div_ceil(8)).flat_map(|_| numbers.next().to_le_bytes()).collect();
    out.truncate(bytes);
    out
}

/// Noise with few bits set: literals of unequal frequency, hardly a copy.
fn sparse(bytes: usize, seed: u64) -> Vec<u8> {
    random(3 * bytes, seed).chunks_exact(3).map(|three| three[0] & three[1] & three[2]).collect()
}

/// Words and numbers.
fn text(bytes: usize, seed: u64) -> Vec<u8> {
    let mut numbers = Numbers::new(seed);
    let mut out = Vec::with_capacity(bytes + 64);
    while out.len() < bytes {
        let number = numbers.next();
        out.extend_from_slice(WORDS[(number >> 32) as usize % WORDS.len()].as_bytes());
        out.push(if number & 15 == 0 { b'\n' } else { b' ' });
        if number & 0xf0 == 0 {
            out.extend_from_slice((number >> 40).to_string().as_bytes());
        }
    }
    out.truncate(bytes);
    out
}

/// Some of all, and copies of what was before.
fn mixed(bytes: usize, seed: u64) -> Vec<u8> {
    let mut numbers = Numbers::new(seed);
    let mut out: Vec<u8> = Vec::with_capacity(bytes + 20_000);
    for part in 1.. {
        if out.len() >= bytes {
            break;
        }
        let number = numbers.next();
        let length = 1 + (number >> 8) as usize % 20_000;
        match number & 7 {
            0 => out.extend(random(length, part)),
            1 => out.resize(out.len() + length, 0),
            2 => out.extend(sparse(length, part)),
            6 | 7 if out.len() >= 2 => {
                let distance = 1 + (number >> 32) as usize % out.len().min(70_000);
                (0..length).for_each(|_| out.push(out[out.len() - distance]));
            }
            _ => out.extend(text(length, part)),
        }
    }
    out.truncate(bytes);
    out
}

#[test]
fn inputs_are_those_that_the_golden_outputs_belong_to() {
    assert_eq!(input("R(16)"), u128::to_be_bytes(0x6e2d_75ca_ae77_1bdc_b45c_6f16_b32d_f054));
    assert_eq!(input("T(60)"), b"0644 jumps doc 14034115brown over Version: fox root:root laz");
}

//! Every target takes its seeds, and what becomes of them when they are cut, flipped, doubled and mixed. The same cases
//! in every run.

use ocm_fuzz::{TARGETS, Target};

/// How many mutations a target gets for each seed; `OCM_FUZZ_ROUNDS` says another number, for a longer run.
fn rounds() -> u32 {
    std::env::var("OCM_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1000)
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        if end == 0 { 0 } else { (self.0 % end as u64) as usize }
    }
}

/// One to four changes.
fn mutated(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.splice(at..at, seed.iter().take(random.below(64)).copied()).for_each(drop),
            2 => bytes.drain(at..(at + random.below(64)).min(bytes.len())).for_each(drop),
            3 => {
                if let Some(field) = bytes.get_mut(at..at + 8) {
                    field.copy_from_slice(&[u64::MAX, 0, 1 << 31, 1 << 62][random.below(4)].to_le_bytes());
                }
            }
            4 => {
                let part: Vec<u8> = bytes[at..(at + random.below(512)).min(bytes.len())].to_vec();
                let to = random.below(bytes.len());
                bytes.iter_mut().skip(to).zip(part).for_each(|(old, new)| *old = new);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    bytes
}

fn survives(target: &Target) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    (target.run)(&[]);
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{} has no seed", target.name);
    for seed in seeds {
        (target.run)(&seed);
        for _ in 0..rounds() {
            (target.run)(&mutated(&seed, &mut random));
        }
    }
}

#[test]
fn no_target_falls_over_what_became_of_its_seeds() {
    for target in &TARGETS {
        survives(target);
    }
}

/// The inputs that a target fell over once.
fn regressions(target: &Target) -> Vec<std::path::PathBuf> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(target.name);
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn no_target_falls_over_what_it_fell_over_once() {
    for target in &TARGETS {
        for path in regressions(target) {
            (target.run)(&std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
        }
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let name = entry.expect("an entry").file_name();
        assert!(TARGETS.iter().any(|target| name == target.name), "{} is no target", name.display());
    }
}

//! The code: a golden vector, plain arithmetic beside it, and every pattern of loss of small numbers.

use ocm_format::digest::Digest;
use ocm_format::parity::code::Code;
use proptest::prelude::*;

use crate::support::noise_twice;

/// Encodes shards in slices of this many bytes.
fn encode(data: &[Vec<u8>], parity: usize, slice: usize) -> Vec<Vec<u8>> {
    let mut code = Code::new(data.len() as u32, parity as u32).expect("a code");
    let bytes = data[0].len();
    let mut made = vec![vec![0; bytes]; parity];
    for at in (0..bytes).step_by(slice) {
        let end = (at + slice).min(bytes);
        let mut read = |shard: u32, buffer: &mut [u8]| {
            buffer.copy_from_slice(&data[shard as usize][at..end]);
            Ok(())
        };
        let mut write = |shard: u32, slice: &[u8]| {
            made[shard as usize - data.len()][at..end].copy_from_slice(slice);
            Ok(())
        };
        code.encode(end - at, &mut read, &mut write).expect("encoded");
    }
    made
}

/// The data shards, made from the shards that are `given`.
fn decode(data: usize, parity: usize, given: &[u32], shards: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut made: Vec<Vec<u8>> = vec![Vec::new(); data];
    let mut code = Code::new(data as u32, parity as u32).expect("a code");
    let mut read = |shard: u32, buffer: &mut [u8]| {
        buffer.copy_from_slice(&shards[shard as usize]);
        Ok(())
    };
    let mut write = |shard: u32, slice: &[u8]| {
        made[shard as usize] = slice.to_vec();
        Ok(())
    };
    code.decode(shards[0].len(), given, &mut read, &mut write).expect("decoded");
    made
}

fn shards(count: usize, bytes: usize) -> Vec<Vec<u8>> {
    (0..count).map(|shard| noise_twice(shard as u64 + 1, bytes, 64)).collect()
}

/// Arithmetic of GF(2^16) as SPEC section 10 defines it.
mod plain {
    const BASIS: [u16; 16] =
        [0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012, 0x6C98, 0x10D8, 0x6A72, 0xB900, 0xFDB8, 0xFB34, 0xFF38, 0x991E];

    /// The polynomial that a number stands for.
    fn element(number: u16) -> u16 {
        (0..16).filter(|bit| number >> bit & 1 == 1).fold(0, |sum, bit| sum ^ BASIS[bit as usize])
    }

    fn product(a: u16, b: u16) -> u16 {
        let (mut a, mut product) = (u32::from(a), 0u32);
        for bit in 0..16 {
            if b >> bit & 1 == 1 {
                product ^= a;
            }
            a <<= 1;
            if a & 0x10000 != 0 {
                a ^= 0x1002D;
            }
        }
        product as u16
    }

    fn power(a: u16, mut exponent: u32) -> u16 {
        let (mut base, mut result) = (a, 1);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = product(result, base);
            }
            base = product(base, base);
            exponent >>= 1;
        }
        result
    }

    /// The number that stands for a polynomial: all are tried.
    fn number(element_of: u16) -> u16 {
        (0..=u16::MAX).find(|number| element(*number) == element_of).expect("the basis spans the field")
    }

    /// The value at point `at` of the polynomial that has these values at points `first`, `first` + 1, …
    fn value_at(at: u16, first: u16, values: &[u16]) -> u16 {
        let mut sum = 0;
        for (i, value) in values.iter().enumerate() {
            let mut term = element(*value);
            for j in (0..values.len()).filter(|j| *j != i) {
                let difference = element(first + i as u16) ^ element(first + j as u16);
                term = product(term, element(at) ^ element(first + j as u16));
                term = product(term, power(difference, 65_534));
            }
            sum ^= term;
        }
        sum
    }

    /// Parity word `j` of these data words.
    pub(super) fn parity_word(data: &[u16], parity: usize, j: u16) -> u16 {
        let chunk = parity.next_power_of_two();
        let mut sum = 0;
        for (at, words) in data.chunks(chunk).enumerate() {
            let mut values = words.to_vec();
            values.resize(chunk, 0);
            sum ^= value_at(j, (chunk * (at + 1)) as u16, &values);
        }
        number(sum)
    }
}

fn word(shard: &[u8], at: usize) -> u16 {
    let unit = &shard[at / 32 * 64..];
    u16::from_le_bytes([unit[at % 32], unit[32 + at % 32]])
}

#[test]
fn the_code_is_the_one_of_the_specification() {
    for (data, parity) in [(1, 1), (2, 1), (3, 2), (5, 3), (7, 4), (4, 4), (2, 5)] {
        let all = shards(data, 128);
        let made = encode(&all, parity, 128);
        for at in [0, 31, 32, 63] {
            let words: Vec<u16> = all.iter().map(|shard| word(shard, at)).collect();
            for (j, shard) in made.iter().enumerate() {
                assert_eq!(word(shard, at), plain::parity_word(&words, parity, j as u16), "{data}+{parity}, shard {j}, word {at}");
            }
        }
    }
}

#[test]
fn a_golden_vector_holds() {
    let data: Vec<Vec<u8>> =
        (0..5u8).map(|shard| (0..=255u8).map(|byte| byte.wrapping_mul(shard + 3).wrapping_add(shard)).collect()).collect();
    let sums: Vec<String> = encode(&data, 3, 256).iter().map(|shard| Digest::of(shard).hex()).collect();
    assert_eq!(sums, GOLDEN);
}

/// The SHA-256 of three parity shards: if these change, archives that exist cannot be repaired any more.
const GOLDEN: [&str; 3] = [
    "306225811ab7e1b58a1ec151cbb738a80657c188d4479536a10e31cc8f4132a7",
    "e27a39beb3b0b3740834d739b6fe34a748b197ba005cf2d9d647669cc8124c35",
    "759ed657d9b6b29f0ecc7dfdce2f5143ccd792603bd56b366331116002be17e0",
];

#[test]
fn slices_give_the_bytes_of_the_whole() {
    for (data, parity) in [(1, 1), (6, 2), (13, 4), (3, 7)] {
        let all = shards(data, 4096);
        let whole = encode(&all, parity, 4096);
        for slice in [64, 512, 1024, 1536] {
            assert!(encode(&all, parity, slice) == whole, "{data}+{parity} in slices of {slice}");
        }
    }
}

#[test]
fn every_pattern_of_loss_up_to_the_parity_is_healed() {
    // To 16 volumes at night: those take most of the time.
    let most = if std::env::var_os("OCM_NIGHTLY").is_some() { 16 } else { 11 };
    for data in 1..=most {
        for parity in 1..=4usize {
            let mut all = shards(data, 64);
            all.extend(encode(&all, parity, 64));
            let count = data + parity;
            for lost in (0u32..1 << count).filter(|lost| lost.count_ones() as usize == parity) {
                let given: Vec<u32> = (0..count as u32).filter(|shard| lost >> shard & 1 == 0).collect();
                let made = decode(data, parity, &given, &all);
                for shard in (0..data).filter(|shard| lost >> shard & 1 == 1) {
                    assert!(made[shard] == all[shard], "{data}+{parity} without {lost:b}");
                }
            }
        }
    }
}

#[test]
fn memory_is_bounded_whatever_the_numbers() {
    for (data, parity) in [(1, 1), (10, 2), (100, 10), (1000, 50), (4000, 96), (2047, 2049), (1, 4095)] {
        let slice = Code::new(data, parity).expect("a code").slice_bytes(1 << 30);
        let work = u64::from((parity.next_power_of_two() + data).next_power_of_two());
        assert!(slice >= 8 << 10 && slice * work <= 64 << 20, "{data}+{parity}: slices of {slice}");
        assert!(slice.is_multiple_of(64));
    }
    assert!(Code::new(4095, 2).is_err() && Code::new(0, 1).is_err() && Code::new(1, 0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_loss_within_the_parity_is_healed(data in 1usize..40, parity in 1usize..12, units in 1usize..9, seed in any::<u64>()) {
        let mut all: Vec<Vec<u8>> = (0..data).map(|shard| noise_twice(seed ^ (shard as u64 + 1), units * 64, 40)).collect();
        all.extend(encode(&all, parity, units * 64));
        let mut order: Vec<u32> = (0..(data + parity) as u32).collect();
        order.sort_by_key(|shard| seed.rotate_left(*shard).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ u64::from(*shard)));
        let mut given = order[parity..].to_vec();
        given.sort_unstable();
        let made = decode(data, parity, &given, &all);
        for shard in order[..parity].iter().filter(|shard| (**shard as usize) < data) {
            prop_assert!(made[*shard as usize] == all[*shard as usize]);
        }
    }
}

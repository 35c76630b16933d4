//! The deflates of zlib, GNU gzip and pigz: the same bits as the programs give, where these are installed, and as they
//! gave when the hashes in `known` were taken.

mod inputs;
mod kit;
mod known;
mod programs;

use inputs::{Noise, inputs, mixture, text};
use kit::{encode, encoders, inflate, whole};
use known::KNOWN;
use ocm_format::gzip::{Bits, BlockStart, gnu, pigz, zlib};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

#[test]
fn pieces_of_pigz_can_be_encoded_in_any_order() {
    let plain = mixture(4, 5 * pigz::PIECE_BYTES + 1, 256);
    let pieces: Vec<_> = plain.chunks(pigz::PIECE_BYTES).collect();
    let mut encoded: Vec<_> = (0..pieces.len())
        .rev()
        .map(|at| {
            let history = &plain[..at * pigz::PIECE_BYTES];
            let mut out = Bits::default();
            pigz::block(6, history, pieces[at], at + 1 == pieces.len(), &mut out);
            out.take()
        })
        .collect();
    encoded.reverse();
    assert!(encoded.concat() == whole(&mut pigz::Encoder::new(6), &plain));
}

#[test]
fn starts_of_blocks_are_noted_with_their_places() {
    let plain = [text(500_000), vec![0; 300_000], Noise(3).bytes(300_000, 256)].concat();
    for (name, new) in encoders() {
        let (deflate, starts) = encode(&mut *new(), &plain, &[10_000]);
        assert_eq!(starts[0], BlockStart { plain_offset: 0, output_bit: 0 }, "{name}");
        assert!(starts.is_sorted_by_key(|start| (start.plain_offset, start.output_bit)), "{name}");
        for (at, start) in starts.iter().enumerate() {
            let head = deflate[start.output_bit as usize / 8] >> (start.output_bit % 8);
            assert_eq!(head & 1 == 1, at + 1 == starts.len(), "{name}: block {at} at bit {}", start.output_bit);
        }
    }
}

#[test]
fn parameters_out_of_range_count_as_the_nearest() {
    let plain = text(50_000);
    assert_eq!(whole(&mut zlib::Encoder::new(200, 8), &plain), whole(&mut zlib::Encoder::new(9, 8), &plain));
    assert_eq!(whole(&mut zlib::Encoder::new(6, 0), &plain), whole(&mut zlib::Encoder::new(6, 1), &plain));
    assert_eq!(whole(&mut zlib::Encoder::new(6, 77), &plain), whole(&mut zlib::Encoder::new(6, 9), &plain));
    assert_eq!(whole(&mut gnu::Encoder::new(0), &plain), whole(&mut gnu::Encoder::new(1), &plain));
    assert_eq!(whole(&mut gnu::Encoder::new(10), &plain), whole(&mut gnu::Encoder::new(9), &plain));
    assert_eq!(whole(&mut pigz::Encoder::new(11), &plain), whole(&mut pigz::Encoder::new(9), &plain));
}

#[test]
fn outputs_are_those_that_the_programs_gave() {
    let inputs = inputs();
    let mut got = Vec::new();
    for (name, new) in encoders() {
        let all: Vec<u8> = inputs.iter().flat_map(|(_, plain)| whole(&mut *new(), plain)).collect();
        let hash: String = Sha256::digest(&all).iter().map(|byte| format!("{byte:02x}")).collect();
        got.push((name, all.len(), hash));
    }
    let known: Vec<_> = KNOWN.iter().map(|(name, size, hash)| ((*name).to_owned(), *size, (*hash).to_owned())).collect();
    assert!(got == known, "{got:#?}");
}

fn hard_bytes() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        (any::<u64>(), 0..150_000usize, 1..257usize).prop_map(|(seed, size, letters)| mixture(seed >> 8, size, letters)),
        (any::<u8>(), 0..70_000usize).prop_map(|(byte, count)| vec![byte; count]),
    ];
    proptest::collection::vec(parts, 0..4).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_pieces_become_the_same_and_come_back(
        plain in hard_bytes(),
        which in any::<proptest::sample::Index>(),
        pieces in proptest::collection::vec(1..40_000usize, 1..5),
    ) {
        let all = encoders();
        let (name, new) = &all[which.index(all.len())];
        let (deflate, _) = encode(&mut *new(), &plain, &pieces);
        prop_assert!(deflate == whole(&mut *new(), &plain), "{} in pieces", name);
        prop_assert!(inflate(&deflate) == plain, "{} comes back", name);
    }
}

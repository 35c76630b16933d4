//! What holds for any input.

use std::io::Read as _;

use flate2::read::DeflateDecoder;
use ocm_format::gzip::klauspost::{Encoder, Generation, HISTORY_BYTES, Stream};
use ocm_format::gzip::{Bits, BlockStart, Deflate, go};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::encoders::{deflate, go_stream, stream};
use crate::inputs::input;

const LEVELS: [u8; 7] = [1, 4, 5, 6, 7, 8, 9];

/// Parts of all kinds of inputs, one after the other, some of them twice.
fn plain() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![4 => 0..400_usize, 2 => 0..20_000_usize, 1 => 60_000..70_000_usize];
    let part = ("[ZPRSTX]", length, 1..300_u64).prop_map(|(kind, length, seed)| input(&format!("{kind}({length},{seed})")));
    let parts = proptest::collection::vec((part, any::<bool>()), 0..8);
    parts.prop_map(|parts| parts.into_iter().flat_map(|(part, is_twice)| part.repeat(1 + usize::from(is_twice))).collect())
}

fn inflate(deflated: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    DeflateDecoder::new(deflated).read_to_end(&mut plain).expect("a deflate stream");
    plain
}

fn cut<'a>(plain: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(plain.len() + 1)).collect();
    places.extend([0, plain.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &plain[pair[0]..pair[1]]).collect()
}

/// Where blocks begin, checked against the bits there: none is of a type that there is not, and only the last is final.
fn check_starts(starts: &[BlockStart], out: &[u8], plain_bytes: usize) {
    let bit = |at: u64| out[at as usize / 8] >> (at % 8) & 1;
    assert_eq!(starts[0], BlockStart { plain_offset: 0, output_bit: 0 });
    assert!(starts.is_sorted_by(|a, b| a.plain_offset <= b.plain_offset && a.output_bit < b.output_bit));
    assert!(starts.iter().all(|start| (bit(start.output_bit + 1), bit(start.output_bit + 2)) != (1, 1)));
    let finals: Vec<u64> = starts.iter().map(|start| start.output_bit).filter(|at| bit(*at) == 1).collect();
    let last = starts[starts.len() - 1];
    assert_eq!((finals, last.plain_offset), (vec![last.output_bit], plain_bytes as u64));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streams_of_go_inflate_to_their_input_however_it_was_cut(plain in plain(), cuts in proptest::collection::vec(any::<Index>(), 0..6)) {
        for level in LEVELS {
            let whole = go_stream(level, &[&plain]);
            prop_assert!(inflate(&whole) == plain, "level {level}");
            prop_assert!(go_stream(level, &cut(&plain, &cuts)) == whole, "level {level}, cut");
        }
    }

    #[test]
    fn streams_of_klauspost_inflate_to_their_input_however_it_was_cut(plain in plain(), cuts in proptest::collection::vec(any::<Index>(), 0..6)) {
        for generation in Generation::ALL {
            let whole = stream(generation, &plain);
            prop_assert!(inflate(&whole) == plain, "{generation:?}");
            prop_assert!(deflate(&mut Stream::new(generation), &cut(&plain, &cuts)) == whole, "{generation:?}, cut");
        }
    }

    #[test]
    fn pieces_inflate_to_their_input_and_do_not_depend_on_pieces_before(parts in proptest::collection::vec(plain(), 1..4)) {
        for generation in Generation::ALL {
            let (mut out, mut bits, mut encoder) = (Vec::new(), Bits::default(), Encoder::new(generation));
            let mut history: &[u8] = &[];
            for part in &parts {
                let bytes = [history, part].concat();
                encoder.piece(&bytes, history.len(), &mut bits);
                let piece = bits.take();
                let mut alone = Bits::default();
                Encoder::new(generation).piece(&bytes, history.len(), &mut alone);
                prop_assert!(piece == alone.take(), "{generation:?}");
                out.extend(piece);
                history = if part.len() > HISTORY_BYTES { &part[part.len() - HISTORY_BYTES..] } else { &[] };
            }
            encoder.last_block(&mut bits);
            out.extend(bits.take());
            prop_assert!(inflate(&out) == parts.concat(), "{generation:?}");
        }
    }

    #[test]
    fn blocks_begin_where_they_say(plain in plain()) {
        let mut encoders: Vec<Box<dyn Deflate>> = vec![Box::new(Stream::new(Generation::K4)), Box::new(Stream::new(Generation::K9))];
        encoders.extend([1, 6].map(|level| Box::new(go::Encoder::new(level)) as Box<dyn Deflate>));
        for mut encoder in encoders {
            let mut bits = Bits::default();
            encoder.write(&plain, &mut bits);
            encoder.finish(&mut bits);
            check_starts(&bits.take_starts(), &bits.take(), plain.len());
        }
    }
}

#[test]
fn a_piece_longer_than_the_buffer_inflates_to_its_input() {
    let plain = input("X(6000000,3)");
    let (mut bits, mut encoder) = (Bits::default(), Encoder::new(Generation::K9));
    encoder.piece(&plain, 0, &mut bits);
    encoder.last_block(&mut bits);
    assert!(inflate(&bits.take()) == plain);
}

//! Blobs that encoders make again from their plain form.

use std::io::Read;

use ocm_format::check;
use ocm_format::digest::Digest;
use ocm_format::error::Kind;
use ocm_format::gzip::klauspost::Generation;
use ocm_format::gzip::{Encoder, Plan, Reason, Verdict, find};
use ocm_format::layout::Parent;
use ocm_format::reader::{Options, Reader};
use ocm_format::recipe::{Piece, Plain, Replay, Restart};
use ocm_format::writer::Form;

use crate::built::{Built, pieces, range};
use crate::made::{Made, NORMAL, check_set, noise, only_set, reader};
use crate::members::{gzip, layer};

const PGZIP: Encoder = Encoder::Pgzip { generation: Generation::K8, block_bytes: 256 << 10 };
const ZLIB: Encoder = Encoder::Zlib { level: 6, memory_level: 8 };

/// Blobs and their plain forms: of every encoder, empty ones, several members, bytes behind the last one.
fn blobs() -> Vec<(Vec<u8>, Vec<u8>)> {
    let klauspost = Encoder::Klauspost { generation: Generation::K9 };
    let all =
        [PGZIP, klauspost, Encoder::Go { level: 1 }, Encoder::Go { level: 6 }, ZLIB, Encoder::Gnu { level: 9 }, Encoder::Pigz { level: 6 }];
    let one = |encoder, plain: Vec<u8>| (gzip(encoder, &plain), plain);
    let mut blobs: Vec<_> = all.into_iter().zip(1..).map(|(encoder, at)| one(encoder, layer(at, 150_000 + at as usize))).collect();
    // The last piece is short; it is empty; it is the only one, and empty.
    blobs.extend([700_000, 512 << 10, 0].map(|bytes| one(PGZIP, layer(9, bytes))));
    blobs.push(one(ZLIB, Vec::new()));
    let members = [
        one(PGZIP, layer(10, 300_000)),
        one(ZLIB, layer(11, 40_000)),
        one(PGZIP, layer(12, 600_000)),
        one(Encoder::Go { level: 9 }, vec![7]),
    ];
    let (content, plain): (Vec<_>, Vec<_>) = members.into_iter().unzip();
    blobs.push((content.concat(), plain.concat()));
    blobs.push(([&content.concat()[..], &noise(13, 30_000)].concat(), plain.concat()));
    blobs
}

pub(crate) fn plan(content: &[u8]) -> Plan {
    match find(&content).expect("memory can be read") {
        Verdict::Replay(plan) => plan,
        kept => panic!("{kept:?}"),
    }
}

pub(crate) fn assert_range(reader: &Reader, content: &[u8], offset: usize, length: usize) {
    let mut buffer = vec![0; length];
    let count = reader.read_at(&Digest::of(content), offset as u64, &mut buffer).expect("a range");
    let wanted = content.get(offset..content.len().min(offset + length)).unwrap_or_default();
    assert!(buffer[..count] == *wanted, "{length} bytes at {offset} of {}", content.len());
}

#[test]
fn every_replayed_blob_comes_back_by_stream_and_its_plain_form_too() {
    for (cap, frame_bytes) in [(256 << 10, 16 << 10), (64 << 20, 1 << 20)] {
        let stored = blobs().into_iter().map(|(content, _)| (Form::Packed, content)).collect();
        let made = Made::replayed(1, stored, cap, frame_bytes);
        let set = only_set(made.path());
        let reader = Reader::open([&set], Options::default());
        for (content, plain) in blobs() {
            let digest = Digest::of(&content);
            assert_eq!(reader.blob(&digest).expect("an answer").expect("a blob").bytes, content.len() as u64);
            let mut read = Vec::new();
            reader.stream(&digest).expect("a stream").read_to_end(&mut read).expect("content");
            assert!(read == content);
            read.clear();
            reader.plain_stream(&digest).expect("a stream").read_to_end(&mut read).expect("content");
            assert!(read == plain);
        }
        let report = check_set(&set, check::Options { deep: true, ..NORMAL });
        assert!(report.is_sound(), "{:#?}", report.damage);
    }
}

#[test]
fn a_replayed_blob_is_read_at_any_place_in_any_order() {
    let stored = blobs().into_iter().map(|(content, _)| (Form::Packed, content)).collect();
    let made = Made::replayed(1, stored, 64 << 20, 1 << 20);
    let tight = Reader::open([&only_set(made.path())], Options { cache_bytes: 300_000, index_cache_bytes: 1 });
    for reader in [reader(made.path()), tight] {
        for (_, content) in &made.blobs {
            let end = content.len();
            for offset in [0, 5, end / 2, end / 3, end.saturating_sub(9), end - 1, end, end + 7] {
                assert_range(&reader, content, offset, 5_000);
            }
            // All of it at once, so across members and restarts.
            assert_range(&reader, content, 3, end);
        }
        for (at, (_, content)) in made.blobs.iter().cycle().enumerate().take(4 * made.blobs.len()) {
            assert_range(&reader, content, at * 7_919 % content.len(), 2_000);
        }
    }
}

/// A set of one blob that is said to be made from `plain` like this.
pub(crate) fn built(digest: Digest, plain: &[u8], recipe: Vec<Piece>) -> (tempfile::TempDir, Reader) {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = plain.len() as u64;
    let listed = Plain::Listed { digest: Digest::of(plain), bytes, parts: vec![range(0, bytes)] };
    let mut built = Built::new(1, Parent::None);
    built.plain_pack(&[plain]).records(&[pieces(digest, recipe, listed)]);
    built.write(folder.path());
    let reader = reader(folder.path());
    (folder, reader)
}

#[test]
fn an_encoder_or_a_setting_that_is_not_known_is_refused_by_name() {
    let digest = Digest::of(b"a gzip file");
    for (encoder, settings, why) in [
        (0, &[][..], "encoder 0"),
        (7, &[6], "encoder 7"),
        (1, &[85, 0x80, 0x80, 0x40], "generation 85 of klauspost/compress"),
        (1, &[80, 5], "an encoder with the setting 5"),
        (2, &[0], "generation 0 of klauspost/compress"),
        (3, &[2], "encoder 3 with these settings"),
        (4, &[0, 8], "an encoder with the setting 0"),
        (4, &[6, 7], "an encoder with the setting 7"),
        (6, &[11], "an encoder with the setting 11"),
    ] {
        let parameters = [&[0; 9][..], settings].concat();
        let restarts = vec![Restart { plain_offset: 0, output_bit: 0, check: 7 }];
        let replay = Replay { bytes: 50, encoder, parameters, plain_offset: 0, plain_bytes: 100, restarts };
        let (_folder, reader) = built(digest, &noise(1, 100), vec![Piece::Replay(replay)]);
        let error = reader.read_at(&digest, 0, &mut [0; 5]).expect_err(why);
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
        assert!(error.to_string().contains(&digest.to_string()) && error.to_string().contains(why), "{error}");
    }
}

#[test]
fn what_an_encoder_makes_of_other_bytes_is_not_given_out() {
    let plain = layer(1, 2_600_000);
    for (encoder, changed) in [(PGZIP, 2_599_000), (ZLIB, 2_599_000)] {
        let content = gzip(encoder, &plain);
        let digest = Digest::of(&content);
        let mut other = plain.clone();
        other[changed] ^= 1;
        let (_folder, reader) = built(digest, &other, plan(&content).pieces());
        assert_range(&reader, &content, 0, 1_000);
        let error = reader.read_at(&digest, content.len() as u64 - 1, &mut [0]).expect_err("other bytes");
        assert_eq!(error.kind(), Kind::Damaged, "{error}");
        assert!(error.to_string().contains("what its encoder made is not what the index says"), "{error}");
        let mut read = Vec::new();
        reader.stream(&digest).expect("a stream").read_to_end(&mut read).expect_err("other bytes");
    }
}

#[test]
fn a_restart_hurts_no_other() {
    let plain = layer(1, 600_000);
    let content = gzip(PGZIP, &plain);
    let mut recipe = plan(&content).pieces();
    let Piece::Replay(replay) = &mut recipe[0] else { panic!("a replay") };
    let [_, second, third] = &mut replay.restarts[..] else { panic!("three pieces") };
    second.check ^= 1;
    let (begin, end) = (second.output_bit / 8, third.output_bit / 8);
    let (_folder, reader) = built(Digest::of(&content), &plain, recipe);
    assert_range(&reader, &content, begin as usize - 100, 100);
    assert_range(&reader, &content, end as usize, 100);
    for offset in [begin, end - 1] {
        let error = reader.read_at(&Digest::of(&content), offset, &mut [0]).expect_err("a wrong check");
        assert_eq!(error.kind(), Kind::Damaged, "{error}");
    }
}

#[test]
fn a_blob_of_which_only_the_end_differs_is_kept_as_it_came() {
    let plain = layer(1, 700_000);
    let [old, new] =
        [Generation::K6a, Generation::K9].map(|generation| gzip(Encoder::Pgzip { generation, block_bytes: 256 << 10 }, &plain));
    let last = |content: &[u8]| plan(content).members[0].restarts[2].output_bit as usize / 8;
    let mixed = [&old[..last(&old)], &new[last(&new)..]].concat();
    assert!(mixed != old && mixed != new);
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(&mixed[..]).read_to_end(&mut inflated).expect("it is gzip");
    assert!(inflated == plain);
    assert_eq!(find(&&mixed[..]).expect("memory can be read"), Verdict::Keep(Reason::Differs));
}

#[test]
fn what_is_cut_or_broken_or_no_gzip_is_kept_as_it_came() {
    let (short, long) = (gzip(ZLIB, &layer(1, 50_000)), gzip(PGZIP, &layer(2, 2_000_000)));
    assert!(long.len() > 400_000, "more than is looked at first");
    let mut hurt = short.clone();
    hurt[10..20].fill(0xff);
    let two = [&short[..], &short[..short.len() / 2]].concat();
    let cut = |content: &[u8], bytes| content[..content.len() - bytes].to_vec();
    for (content, reason) in [
        (cut(&short, 1), Reason::Broken),
        (cut(&short, 8), Reason::Broken),
        (cut(&short, 9), Reason::Broken),
        (cut(&short, 3_000), Reason::Broken),
        (cut(&long, 1), Reason::Broken),
        (cut(&long, 10_000), Reason::Broken),
        (cut(&long, 300_000), Reason::Broken),
        (short[..12].to_vec(), Reason::Broken),
        (short[..5].to_vec(), Reason::NotGzip),
        (hurt, Reason::Broken),
        (two, Reason::Broken),
        (Vec::new(), Reason::NotGzip),
        (noise(3, 1_000), Reason::NotGzip),
    ] {
        assert_eq!(find(&&content[..]).expect("memory can be read"), Verdict::Keep(reason), "{} bytes", content.len());
    }
}

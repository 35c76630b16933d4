//! What parity rebuilds: lost volumes, scattered damage, and where it ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ocm_format::error::Kind;
use ocm_format::parity::Group;
use proptest::prelude::*;

use crate::kit::{Sample, files, go_on, sample};

/// Changes bytes of a file in place.
fn change(path: &Path, with: impl FnOnce(&mut [u8])) {
    let mut content = std::fs::read(path).expect("content");
    with(&mut content);
    std::fs::write(path, content).expect("written");
}

#[test]
fn lost_volumes_are_rebuilt_bit_for_bit_up_to_the_parity_and_one_more_is_refused() {
    for (bytes, parity) in [(30_000, 1), (100_000, 2), (200_000, 3)] {
        let sample = sample(1, 64 << 10, bytes, parity);
        let originals = files(sample.path());
        let all: Vec<PathBuf> = sample.volumes().into_iter().chain(sample.parity()).collect();
        for lost in 0u32..1 << all.len() {
            if lost.count_ones() > parity + 1 {
                continue;
            }
            let gone: Vec<&PathBuf> = all.iter().enumerate().filter(|(at, _)| lost >> at & 1 == 1).map(|(_, path)| path).collect();
            gone.iter().for_each(|path| std::fs::remove_file(path).expect("removed"));
            let data_gone = gone.iter().filter(|path| path.to_string_lossy().contains(".v0")).count();
            if lost.count_ones() <= parity && sample.group().0.is_some() {
                let survey = sample.repair(&originals).expect("repaired");
                assert_eq!(survey.damaged().len(), data_gone);
                assert_eq!(survey.damaged_parity().len(), gone.len() - data_gone);
            } else if data_gone > 0 && sample.group().0.is_some() {
                let longest = gone.iter().filter(|path| path.to_string_lossy().contains(".v0")).count();
                if let Err(error) = sample.repair(&originals) {
                    assert_eq!(error.kind(), Kind::Missing);
                    let said = format!("lacks {} of its shards, and {parity} parity", parity + 1);
                    assert!(error.to_string().contains(&said), "{error}");
                } else {
                    // A short last volume has no columns where the others are lost.
                    assert!(longest < gone.len() || gone.iter().any(|path| **path == all[sample.volumes().len() - 1]));
                }
            }
            sample.restore(&originals);
        }
    }
}

#[test]
fn scattered_damage_is_healed_column_by_column() {
    let sample = sample(1, 64 << 10, 200_000, 1);
    let originals = files(sample.path());
    let column = sample.group().0.expect("parity").shape.column_bytes as usize;
    // Every volume is hurt, each in another column.
    for (at, path) in sample.volumes().iter().rev().enumerate() {
        change(path, |content| content[at * column + 100] ^= 0xff);
    }
    let survey = sample.repair(&originals).expect("repaired");
    assert_eq!(survey.damaged().len(), sample.volumes().len());
    assert_eq!(survey.worst(), 1);
    // Two in one column are too many, and only that column of one of them is asked for.
    change(&sample.volumes()[0], |content| content[5] ^= 1);
    let mut group = sample.group().0.expect("parity");
    let survey = group.survey(&mut go_on).expect("surveyed");
    let lacking = survey.lacking(&group);
    assert_eq!(lacking.len(), 1);
    assert_eq!((lacking[0].volume, lacking[0].range.clone()), (1, 0..column as u64));
}

#[test]
fn blocks_that_are_zeroed_doubled_or_swapped_are_healed_wherever_they_are() {
    let sample = sample(1, 64 << 10, 110_000, 1);
    let originals = files(sample.path());
    for block in [512usize, 4096] {
        for path in sample.volumes() {
            let blocks = originals[&path].len() / block;
            for at in (0..blocks).step_by(if block == 512 { 5 } else { 1 }) {
                for kind in 0..3 {
                    change(&path, |content| {
                        let begin = at * block;
                        let other = (at + 1) % blocks * block;
                        match kind {
                            0 => content[begin..begin + block].fill(0),
                            1 => content.copy_within(other..other + block, begin),
                            _ => {
                                let kept = content[begin..begin + block].to_vec();
                                content.copy_within(other..other + block, begin);
                                content[other..other + block].copy_from_slice(&kept);
                            }
                        }
                    });
                    sample.repair(&originals).expect("repaired");
                    sample.restore(&BTreeMap::from([(path.clone(), originals[&path].clone())]));
                }
            }
        }
    }
}

#[test]
fn one_sound_header_is_enough_for_all_parity_volumes() {
    let sample = sample(1, 64 << 10, 200_000, 2);
    let originals = files(sample.path());
    change(&sample.parity()[0], |content| content[1536..2048].fill(0));
    std::fs::remove_file(&sample.volumes()[0]).expect("removed");
    std::fs::remove_file(&sample.volumes()[2]).expect("removed");
    let (_, problems) = sample.group();
    assert!(problems[0].to_string().contains("OCM.PARITY"), "{problems:?}");
    sample.repair(&originals).expect("repaired by the shards of both");
}

#[test]
fn one_sound_row_of_hashes_is_enough_and_none_is_told() {
    let sample = sample(1, 64 << 10, 200_000, 2);
    let originals = files(sample.path());
    let shape = sample.group().0.expect("parity").shape;
    let (begin, end) = (shape.row_offset(0) as usize, shape.row_offset(shape.columns()) as usize);
    change(&sample.parity()[1], |content| content[begin..end].fill(0));
    change(&sample.volumes()[1], |content| content[3000] ^= 4);
    let survey = sample.repair(&originals).expect("repaired");
    assert!(survey.blind.is_empty());
    change(&sample.parity()[0], |content| content[begin] ^= 1);
    let survey = sample.group().0.expect("parity").survey(&mut go_on).expect("surveyed");
    assert_eq!((survey.blind.len(), survey.blind[0].clone()), (1, 0..1));
}

#[test]
fn a_cut_volume_gives_what_it_has() {
    let sample = sample(1, 64 << 10, 200_000, 1);
    let originals = files(sample.path());
    let column = sample.group().0.expect("parity").shape.column_bytes;
    let cut = |path: &Path, bytes: u64| std::fs::File::options().write(true).open(path).and_then(|file| file.set_len(bytes)).expect("cut");
    cut(&sample.volumes()[0], 3 * column + 7);
    change(&sample.volumes()[1], |content| content[2 * column as usize] ^= 1);
    sample.repair(&originals).expect("repaired");
}

#[test]
fn parity_of_another_set_is_not_used_and_named() {
    let (one, other) = (sample(1, 64 << 10, 100_000, 1), sample(2, 64 << 10, 100_000, 1));
    let set = one.finished.manifest.set;
    let volumes = [(1, other.parity().remove(0)), (1, one.parity().remove(0))];
    let (group, problems) = Group::open(set, None, &volumes);
    assert_eq!(group.expect("its own").header.set, set);
    assert!(problems[0].to_string().contains(&other.finished.manifest.set.to_string()), "{problems:?}");
    let (none, problems) = Group::open(set, None, &volumes[..1]);
    assert!(none.is_none() && problems.len() == 1);
    let (none, problems) = Group::open(set, Some(other.finished.root), &volumes[1..]);
    assert!(none.is_none() && problems[0].to_string().contains("with root"), "{problems:?}");
}

/// Hurts some bytes of some files, in columns of its own.
fn hurt(sample: &Sample, seed: u64, count: usize) {
    let all: Vec<PathBuf> = sample.volumes().into_iter().chain(sample.parity()).collect();
    for n in 0..count {
        let random = (seed ^ n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
        let path = &all[random as usize % all.len()];
        change(path, |content| {
            let at = (random >> 20) as usize % content.len();
            let end = (at + 1 + (random >> 50) as usize % 300).min(content.len());
            content[at..end].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1 + (random >> 7) as u8 % 200));
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_hurt_is_either_made_whole_or_asked_for(seed in any::<u64>(), count in 1usize..12) {
        let sample = sample(1, 64 << 10, 120_000, 2);
        let originals = files(sample.path());
        hurt(&sample, seed, count);
        let Some(mut group) = sample.group().0 else { return Ok(()) };
        let survey = group.survey(&mut go_on).expect("surveyed");
        if survey.blind.is_empty() {
            let lacking = survey.lacking(&group);
            prop_assert_eq!(lacking.is_empty(), sample.repair(&originals).is_ok());
            prop_assert!(lacking.is_empty() || survey.worst() > 2);
        }
    }
}

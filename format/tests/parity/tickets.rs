//! Tickets and patches: what is asked for, what answers, and what is refused.

use std::path::PathBuf;

use ocm_format::error::Kind;
use ocm_format::mend::{Patch, Ticket, Wanted, answer, lay_over, overlays};
use ocm_format::parity::{Holder, rebuild};

use crate::kit::{Sample, files, go_on, sample, seal, without_parity};

fn ticket(sample: &Sample, wanted: Vec<Wanted>) -> Ticket {
    let manifest = &sample.finished.manifest;
    Ticket { set: manifest.set, generation: manifest.generation, root: Some(sample.finished.root), wanted }
}

fn made(sample: &Sample, wanted: Vec<Wanted>) -> (PathBuf, Patch) {
    let path = sample.path().join("patch");
    answer(&ticket(sample, wanted), &sample.scanned(), &path).expect("an answer");
    let patch = Patch::open(&path).expect("a patch");
    patch.check().expect("sound");
    (path, patch)
}

#[test]
fn a_patch_laid_over_a_damaged_volume_gives_the_volume() {
    let sample = without_parity(1, 64 << 10, 120_000);
    let wanted =
        vec![Wanted::Range { volume: 1, range: 100..5000 }, Wanted::Range { volume: 1, range: 9000..9001 }, Wanted::From { volume: 2 }];
    let (_, patch) = made(&sample, wanted);
    let mut content = std::fs::read(&sample.volumes()[0]).expect("content");
    let original = content.clone();
    content[100..5000].fill(7);
    content[9000] ^= 1;
    let hurt = sample.path().join("hurt");
    std::fs::write(&hurt, content).expect("written");
    let over = overlays(&[patch.clone(), patch]);
    let out = tempfile::tempfile().expect("a file");
    let holder = Holder { path: Some(hurt), overlays: over[&1].clone() };
    lay_over(&holder, original.len() as u64, &out).expect("laid over");
    let read = |file: &std::fs::File, bytes: usize| {
        let mut made = vec![0; bytes];
        std::os::unix::fs::FileExt::read_exact_at(file, &mut made, 0).expect("read");
        made
    };
    assert!(read(&out, original.len()) == original);
    let second = std::fs::read(&sample.volumes()[1]).expect("content");
    lay_over(&Holder { path: None, overlays: over[&2].clone() }, second.len() as u64, &out).expect("a whole volume");
    assert!(read(&out, second.len()) == second);
    let error = lay_over(&Holder { path: None, overlays: over[&1].clone() }, 9001, &out).expect_err("the patch has not all");
    assert_eq!(error.place().offset, Some(0));
}

#[test]
fn what_parity_lacks_is_asked_for_and_heals_with_it() {
    let sample = sample(1, 64 << 10, 160_000, 1);
    let originals = files(sample.path());
    for path in &sample.volumes()[..2] {
        std::fs::remove_file(path).expect("removed");
    }
    let mut group = sample.group().0.expect("parity");
    let survey = group.survey(&mut go_on).expect("surveyed");
    let lacking = survey.lacking(&group);
    let asked: u64 = lacking.iter().map(|lacking| lacking.range.end - lacking.range.start).sum();
    assert!(asked <= originals.values().map(|content| content.len() as u64).max().expect("files"), "one volume of two");
    let wanted = lacking.into_iter().map(|lacking| Wanted::Range { volume: lacking.volume, range: lacking.range }).collect();
    sample.restore(&originals);
    let (_, patch) = made(&sample, wanted);
    for path in &sample.volumes()[..2] {
        std::fs::remove_file(path).expect("removed");
    }
    for (number, overlays) in overlays(&[patch]) {
        group.add_data(number, Holder { path: None, overlays });
    }
    let survey = group.survey(&mut go_on).expect("surveyed");
    assert!(survey.lacking(&group).is_empty());
    let out = tempfile::tempdir().expect("a folder");
    let file = |number: u32| std::fs::File::create(out.path().join(number.to_string())).expect("a file");
    let targets = [1, 2].into_iter().map(|number| (number, file(number))).collect();
    rebuild(&mut group, &survey, &targets, &mut go_on).expect("rebuilt");
    for number in [1usize, 2] {
        assert!(std::fs::read(out.path().join(number.to_string())).expect("content") == originals[&sample.volumes()[number - 1]]);
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_patch_is_seen() {
    let sample = without_parity(1, 64 << 10, 30_000);
    let (path, _) = made(&sample, vec![Wanted::Range { volume: 1, range: 0..300 }, Wanted::Range { volume: 1, range: 400..700 }]);
    let sound = std::fs::read(&path).expect("content");
    assert_eq!(sound.len(), 512 + 2 * 96 + 600);
    let refused = |content: &[u8]| {
        std::fs::write(&path, content).expect("written");
        Patch::open(&path).and_then(|patch| patch.check()).is_err()
    };
    for at in 0..sound.len() {
        let mut content = sound.clone();
        content[at] ^= 1 << (at % 8);
        assert!(refused(&content), "byte {at}");
        if at % 7 == 0 {
            assert!(refused(&sound[..at]), "cut at {at}");
        }
    }
    assert!(refused(&[&sound[..], &[0]].concat()));
}

#[test]
fn a_patch_of_another_version_is_refused_by_its_number() {
    let sample = without_parity(1, 64 << 10, 30_000);
    let (path, _) = made(&sample, vec![Wanted::Whole { volume: 1 }]);
    let mut later = std::fs::read(&path).expect("content");
    later[8] = 2;
    seal(&mut later[..512]);
    std::fs::write(&path, later).expect("written");
    let error = Patch::open(&path).expect_err("another version");
    assert_eq!(error.kind(), Kind::Version);
    assert!(error.message().contains("patch: it is of format version 2; this program reads version 1"), "{error}");
}

#[test]
fn a_ticket_or_a_patch_of_another_set_is_refused() {
    let (one, other) = (without_parity(1, 64 << 10, 30_000), without_parity(2, 64 << 10, 30_000));
    let wanted = || vec![Wanted::Whole { volume: 1 }];
    let error = answer(&ticket(&one, wanted()), &other.scanned(), &one.path().join("x")).expect_err("another set");
    assert_eq!(error.kind(), Kind::Usage);
    let (_, patch) = made(&one, wanted());
    patch.expect(one.finished.manifest.set, Some(one.finished.root)).expect("its own");
    assert!(patch.expect(other.finished.manifest.set, None).expect_err("another set").to_string().contains("it is for set 0101"));
    assert!(patch.expect(one.finished.manifest.set, Some(other.finished.root)).expect_err("another root").to_string().contains("root"));
    let beyond = vec![Wanted::Range { volume: 1, range: 0..1 << 40 }];
    assert!(answer(&ticket(&one, beyond), &one.scanned(), &one.path().join("x")).expect_err("beyond").to_string().contains("beyond"));
    let absent = vec![Wanted::Whole { volume: 9 }];
    assert_eq!(answer(&ticket(&one, absent), &one.scanned(), &one.path().join("x")).expect_err("absent").kind(), Kind::Missing);
}

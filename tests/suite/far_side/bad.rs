//! What a delta builds on is gone, damaged, or a lie.

use ocm::error::Kind;
use ocm::transfer::{Class, Ending};
use ocm::workflow::sync::Outcome;
use ocm::workflow::verify::{self, SetVerdict};

use super::{Generations, plain};
use crate::support::fault::{Fault, every};
use crate::support::proxy::{Class as About, Proxy};

/// `team/new` has failed so, `team/alone` is there.
fn assert_only_new_failed(outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.class(), Class::Damaged, "{:?}", outcome.report);
    for one in &outcome.report.items {
        match &one.ending {
            Ending::Failed(error) => {
                assert!(one.item.origin.to_string().contains("team/new"), "{error}");
                assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
            }
            _ => assert!(one.item.origin.to_string().contains("team/alone")),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_blob_that_is_nowhere_is_named_with_what_to_bring_and_nothing_is_pushed() {
    let Some(mut made) = Generations::new().await else { return };
    made.take_away();
    // A registry that never had it; one that has lost it; and one of which nobody remembers where it has it.
    for case in ["never", "lost", "forgotten"] {
        if case != "never" {
            std::fs::rename(&made.away, made.lab.folder("disk/back")).expect("moved");
            for entry in std::fs::read_dir(made.lab.folder("disk/back")).expect("a folder") {
                let entry = entry.expect("an entry");
                std::fs::rename(entry.path(), made.lab.folder("disk").join(entry.file_name())).expect("moved");
            }
            made.push_first().await;
            std::fs::remove_dir(made.lab.folder("disk/back")).expect("removed");
            made.take_away();
        }
        match case {
            "lost" => std::fs::remove_file(made.far.blob_file(&made.old.to_string())).expect("lost"),
            "forgotten" => made.lab.settings.workspace = Some(made.lab.folder("another")),
            _ => {}
        }
        for dry_run in [true, false] {
            let error = made.push(|request| request.dry_run = dry_run).await.expect_err(case);
            assert_eq!(error.kind(), Kind::Needed, "{case}: {error}");
            let target = made.target();
            let says = format!("set 2 refers to content of set 1, which is not in {} and not in {target}", made.lab.path("disk"));
            assert_eq!(error.to_string(), says);
            let notes = error.notes().join("\n");
            for words in [
                format!("missing: 1 blob that {}/team/new:2 needs, first {}", made.near.host(), made.old),
                "bring:   set 1 (\"disk\", root ".into(),
            ] {
                assert!(notes.contains(&words), "no {words:?} in {notes}");
            }
            assert!(notes.ends_with(&format!("or the images of set 1 in {target}")), "{notes}");
            assert!(error.way_out().is_some_and(|way| way.contains("--base DIR")));
        }
        made.assert_nothing_came().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_blob_that_is_a_lie_fails_the_images_that_need_it_before_their_manifest_and_no_other() {
    let Some(made) = Generations::new().await else { return };
    made.push_first().await;
    made.take_away();
    let path = made.far.blob_file(&made.old.to_string());
    let mut bytes = std::fs::read(&path).expect("the old blob");
    *bytes.last_mut().expect("bytes") ^= 1;
    std::fs::write(&path, bytes).expect("a lie");
    // Read beforehand, it stops the run.
    let error = made.push(|request| request.check_base = true).await.expect_err("a lie");
    assert!(error.kind() == Kind::Damaged && error.to_string().contains("does not match its digest"), "{error}");
    assert!(error.notes().iter().any(|note| note.contains("team/new:2")), "{error:?}");
    made.assert_nothing_came().await;
    let pushed = made.push(plain).await.expect("a run");
    let words = [&made.old.to_string(), made.far.host(), "the content does not match its digest"];
    assert_only_new_failed(&pushed, &words);
    assert!(made.has("alone").await && !made.has("new").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_that_garbles_old_blobs_is_found_out_and_one_that_is_cut_is_gone_again() {
    let Some(made) = Generations::new().await else { return };
    made.push_first().await;
    made.take_away();
    let proxy = Proxy::before(made.far.host());
    let disk = made.lab.path("disk");
    let target = format!("docker://{}", proxy.host());
    // The receipts know the registry by its own name: here nobody knows the repository, so it is named at the destination.
    let old = format!("{target}/team/old");
    let sync = || made.lab.sync(std::slice::from_ref(&disk), &old);
    let found = sync().await.expect_err("team/old/team/new is another repository");
    assert_eq!(found.kind(), Kind::Needed);
    made.lab.sync(&[format!("docker://{}/team/old:1", made.far.host())], &target).await.expect("a receipt");
    let sync = || made.lab.sync(std::slice::from_ref(&disk), &target);
    proxy.set(every("GET", About::Blob, Fault::none().flip_at(5_000)));
    assert_only_new_failed(&sync().await.expect("a run"), &["the content does not match its digest"]);
    proxy.forget();
    proxy.set(|request| match (request.method.as_str(), request.class, request.before) {
        ("GET", About::Blob, 0) => Fault::none().cut_response_at(100_000),
        _ => Fault::none(),
    });
    assert_eq!(sync().await.expect("a run").class(), Class::Done);
    made.assert_arrived().await;
}

/// Flips a bit in the middle of the only volume of set 1.
fn damage(made: &Generations, folder: &str) {
    let find = |path: &std::path::PathBuf| path.to_string_lossy().contains(".g0001-") && path.to_string_lossy().contains(".v001.");
    let path = made.lab.snapshot(folder).into_keys().find(find).expect("a volume");
    let mut bytes = std::fs::read(&path).expect("a volume");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&path).and_then(|()| std::fs::write(&path, bytes)).expect("changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_parent_fails_the_images_that_need_it_and_check_base_finds_it_first() {
    let Some(made) = Generations::new().await else { return };
    made.take_away();
    damage(&made, "away");
    let base = |check_base: bool| {
        let away = made.away.clone();
        made.push(move |request| {
            request.base = vec![away];
            request.check_base = check_base;
        })
    };
    let error = base(true).await.expect_err("damaged");
    assert!(error.kind() == Kind::Damaged && error.to_string().contains("SHA-256 is not that of the index"), "{error}");
    assert!(error.notes().iter().any(|note| note.contains("hurts:") && note.contains("team/new:2")), "{error:?}");
    made.assert_nothing_came().await;
    assert_only_new_failed(&base(false).await.expect("a run"), &["volume 1 at 0x"]);
    assert!(made.has("alone").await && !made.has("new").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_the_images_of_all_sets_that_damage_hurts_and_what_lies_elsewhere() {
    let Some(made) = Generations::new().await else { return };
    let verify = |complete: bool| {
        let places = vec![(made.lab.folder("disk"), None)];
        verify::verify(verify::Request { places, quick: false, complete, after_write: false }, &made.lab.settings)
    };
    let names =
        |set: &SetVerdict| set.hurt.iter().map(|hurt| (hurt.image.repository().path().to_owned(), hurt.parts.clone())).collect::<Vec<_>>();
    assert_eq!(verify::class(&verify(true).await.expect("a verdict")), Class::Done);
    damage(&made, "disk");
    let damaged = verify(false).await.expect("a verdict");
    assert_eq!(verify::class(&damaged), Class::Damaged);
    let [second, first] = damaged.verdict.sets.as_slice() else { panic!("{damaged:?}") };
    assert!(second.damage.is_empty() && !first.damage.is_empty());
    assert_eq!(names(first), [("team/old".to_owned(), vec!["layer 1".to_owned()])]);
    assert_eq!(names(second), [("team/new".to_owned(), vec!["layer 1".to_owned()])]);
    // Alone it is sound, and says what it builds on.
    made.take_away();
    for (complete, class) in [(false, Class::Done), (true, Class::Needed)] {
        let alone = verify(complete).await.expect("a verdict");
        assert_eq!(verify::class(&alone), class);
        let [second] = alone.verdict.sets.as_slice() else { panic!("{alone:?}") };
        assert!(second.hurt.is_empty() && second.parents_elsewhere.len() == 1 && second.parents_elsewhere[0].starts_with("set 1 (id "));
    }
}

//! Which sets are let in.

use ocm::error::Kind;
use ocm::transfer::Class;
use ocm::workflow::key::approve;
use ocm::workflow::verify::{Request as Verify, class, verify};

use super::{Vault, key};

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_let_in_by_as_many_keys_of_a_role_as_are_asked_for() {
    let mut vault = Vault::new();
    let set = vault.sync(Some(1), "disk").await.expect("a set").set.expect("a set");
    assert_eq!(set.signed_by.as_deref(), Some("0101010101010101"));
    let trust = vault.trust("trust", &[(1, "builder disk"), (2, "auditor d*"), (3, "auditor other d?sk")]);
    vault.demand(&trust, &["builder", "auditor=2"], &[]);
    let refused = |error: ocm::error::Error, there: &str| {
        assert_eq!(error.kind(), Kind::Needed, "{error:?}");
        assert!(
            error.to_string().starts_with("set 1 of \"disk\": it is not signed as it must be") && error.to_string().contains(there),
            "{error:?}"
        );
        assert!(error.notes()[0].contains(&set.root.to_string()));
    };
    refused(vault.deliver("disk", "out").await.expect_err("refused"), "it lacks 2 of 2 keys of role auditor (there: 0)");
    assert!(!vault.lab.folder("out").exists(), "nothing was brought");
    // One beside the set, one named.
    approve(&vault.lab.folder("disk"), None, &key(2), None).expect("approved");
    refused(vault.deliver("disk", "out").await.expect_err("refused"), "it lacks 1 of 2 keys of role auditor (there: 1)");
    let named = vault.lab.folder("elsewhere.minisig");
    approve(&vault.lab.folder("disk"), Some(1), &key(3), Some(&named)).expect("approved");
    vault.demand(&trust, &["builder", "auditor=2"], &[&named]);
    let done = vault.deliver("disk", "out").await.expect("let in");
    assert_eq!((done.class(), done.sources[0].root), (Class::Done, set.root));
    // The same key twice is one key, and one of another lineage is none.
    vault.demand(&vault.trust("again", &[(2, "auditor *"), (2, "auditor disk"), (3, "auditor lab")]), &["auditor=2"], &[&named]);
    refused(vault.deliver("disk", "out").await.expect_err("refused"), "(there: 1)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_does_not_verify_is_damage_and_an_unknown_key_is_not_trusted() {
    let mut vault = Vault::new();
    vault.sync(Some(1), "disk").await.expect("a set");
    let approval = vault.lab.folder("disk/own.minisig");
    approve(&vault.lab.folder("disk"), None, &key(2), Some(&approval)).expect("approved");
    let text = std::fs::read_to_string(&approval).expect("an approval");
    std::fs::write(&approval, text.replace("generation 1", "generation 2")).expect("changed");
    vault.demand(&vault.trust("trust", &[(1, "builder *"), (2, "auditor *")]), &["builder"], &[]);
    let error = vault.deliver("disk", "out").await.expect_err("damaged");
    assert!(error.kind() == Kind::Damaged && error.to_string().contains("own.minisig: its trusted comment was changed"), "{error}");
    std::fs::remove_file(&approval).expect("removed");
    vault.deliver("disk", "out").await.expect("let in");
    vault.demand(&vault.trust("trust", &[(7, "builder *")]), &["builder"], &[]);
    let error = vault.deliver("disk", "other").await.expect_err("not trusted");
    assert!(error.notes().iter().any(|note| note == "there: signature by 0101010101010101: not trusted"), "{error:?}");
    // The bytes of the signature in the volume: damage of the volume, and of the signature.
    vault.demand(&vault.trust("trust", &[(1, "builder *")]), &["builder"], &[]);
    let volume = vault.volumes("disk").remove(0);
    let mut bytes = std::fs::read(&volume).expect("a volume");
    let at = bytes.windows(9).rposition(|word| word == b"trusted c").expect("the signature") + 30;
    bytes[at] ^= 1;
    std::fs::write(&volume, bytes).expect("damaged");
    assert_eq!(vault.deliver("disk", "other").await.expect_err("damaged").kind(), Kind::Damaged);
    assert!(!vault.lab.folder("other").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_set_vouches_for_what_it_builds_on_and_for_nothing_else() {
    let mut vault = Vault::new();
    vault.sync(None, "disk").await.expect("set 1");
    vault.add(2);
    vault.lab.settings.now += 100;
    let second = vault.sync(Some(1), "disk").await.expect("set 2").set.expect("a set");
    assert_eq!((second.generation, second.chain), (2, 1));
    vault.demand(&vault.trust("trust", &[(1, "builder *")]), &[], &[]);
    assert_eq!(vault.deliver("disk", "out").await.expect("let in").class(), Class::Done);
    let of =
        |generation| Verify { places: vec![(vault.lab.folder("disk"), generation)], quick: false, complete: false, after_write: false };
    let all = verify(of(None), &vault.lab.settings).await.expect("a verdict");
    assert_eq!(class(&all), Class::Done, "{all:?}");
    assert_eq!(all.signatures.iter().map(|set| set.vouched_for_by).collect::<Vec<_>>(), [None, Some(2)]);
    // What it lists itself counts by its own signatures.
    let first = verify(of(Some(1)), &vault.lab.settings).await.expect("a verdict");
    assert_eq!((class(&first), first.signatures[0].lacking.len()), (Class::Needed, 1));
    let error = vault.deliver("disk@1", "other").await.expect_err("refused");
    assert!(error.kind() == Kind::Needed && error.to_string().starts_with("set 1 of"), "{error}");
    // A set 1 that set 2 does not list is not read, though it has all that is needed.
    let mut twin = Vault::new();
    twin.lab.settings.random = [3; 16];
    twin.sync_with(None, "disk", |request| request.archive.packing.level = 4).await.expect("another set 1");
    vault.lab.remove_set("disk", 1);
    for volume in twin.volumes("disk") {
        std::fs::copy(&volume, vault.lab.folder("disk").join(volume.file_name().expect("a name"))).expect("copied");
    }
    let base = vec![twin.lab.folder("disk")];
    vault.lab.remove_set("disk", 1);
    vault.lab.settings.authority = Default::default();
    let to = |name: &str| format!("oci:{}", vault.lab.path(name));
    let unasked = vault.lab.sync_with(&[vault.lab.path("disk")], &to("unasked"), |request| request.base = base.clone()).await;
    assert_eq!(unasked.expect("by digest it would do").class(), Class::Done);
    vault.demand(&vault.lab.path("trust"), &[], &[]);
    let to = |name: &str| format!("oci:{}", vault.lab.path(name));
    let asked = vault.lab.sync_with(&[vault.lab.path("disk")], &to("asked"), |request| request.base = base).await;
    assert!(asked.is_err() || asked.is_ok_and(|outcome| outcome.class() != Class::Done), "nobody vouches for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_tells_what_is_signed_also_where_nobody_asks() {
    let mut vault = Vault::new();
    vault.sync(Some(4), "disk").await.expect("a set");
    let request = || Verify { places: vec![(vault.lab.folder("disk"), None)], quick: true, complete: false, after_write: false };
    let told =
        |outcome: &ocm::workflow::verify::Outcome| outcome.signatures[0].signatures.iter().map(ToString::to_string).collect::<Vec<_>>();
    let unasked = verify(request(), &vault.lab.settings).await.expect("a verdict");
    assert_eq!((class(&unasked), told(&unasked)), (Class::Done, vec!["signature by 0404040404040404: not checked".to_owned()]));
    let listing = ocm::workflow::list::list(&vault.lab.folder("disk"), None, &ocm::workspace::Workspace::new(vault.lab.folder("w")))
        .expect("a listing");
    assert_eq!(listing.sets[0].signed_by, ["0404040404040404"]);
    // Anything beside it that says nothing of it is no matter of this set.
    std::fs::write(vault.lab.folder("disk/foreign.minisig"), "garbage").expect("a file");
    assert_eq!(class(&verify(request(), &vault.lab.settings).await.expect("a verdict")), Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_of_an_old_set_does_not_bring_it_back() {
    let Some(far) = crate::support::registry::Registry::start() else { return };
    let mut vault = Vault::new();
    let to = format!("docker://{}/mirror", far.host());
    vault.sync(Some(1), "disk").await.expect("set 1");
    vault.add(2);
    vault.lab.settings.now += 100;
    vault.sync(Some(1), "disk").await.expect("set 2");
    vault.demand(&vault.trust("trust", &[(1, "builder *")]), &[], &[]);
    vault.lab.settings.signer = Some(key(5));
    let pushed = vault.lab.sync(&[vault.lab.path("disk")], &to).await.expect("pushed");
    let (receipt, signature) = (pushed.receipt.expect("a receipt"), pushed.receipt_signature.expect("a signature"));
    assert_eq!(signature, std::path::PathBuf::from(format!("{}.minisig", receipt.display())));
    let signature = ocm::trust::minisign::Signature::read(&std::fs::read(signature).expect("a signature")).expect("a signature");
    key(5).public().verify(&signature, &std::fs::read(receipt).expect("a receipt")).expect("it is of the receipt");
    let old = format!("{}@1", vault.lab.path("disk"));
    let error = vault.lab.sync(&[&old], &to).await.expect_err("older");
    assert!(error.kind() == Kind::Usage && error.to_string().contains("is older than set 2"), "{error}");
    vault.lab.sync_with(&[&old], &to, |request| request.allow_older = true).await.expect("allowed");
    // Receipts are still read, signed or not.
    assert_eq!(ocm::workspace::Workspace::new(vault.lab.folder("workspace")).all_receipts().expect("receipts").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn demands_are_about_archives_and_keys_about_sets_and_receipts() {
    let mut vault = Vault::new();
    vault.demand(&vault.trust("trust", &[(1, "builder *")]), &[], &[]);
    let error = vault.sync(None, "disk").await.expect_err("refused");
    assert!(
        error.kind() == Kind::Usage && error.to_string().contains("--trust asks for signatures of sets, and this is no archive"),
        "{error}"
    );
    vault.lab.settings.authority = Default::default();
    vault.sync(None, "disk").await.expect("a set");
    vault.lab.settings.signer = Some(key(1));
    let error = vault.deliver("disk", "out").await.expect_err("refused");
    assert!(error.kind() == Kind::Usage && error.to_string().contains("--sign signs sets and receipts"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_the_same_bytes_signed_again_and_needs_no_key_for_that() {
    let mut vault = Vault::new();
    let small = |request: &mut ocm::workflow::sync::Request| request.archive.volume_bytes = 64 << 10;
    let set = vault.sync_with(Some(1), "disk", small).await.expect("a set").set.expect("a set");
    let again = |to: &str| ocm::workflow::sync::again::Request {
        folder: vault.lab.folder("disk"),
        generation: 1,
        volume: None,
        to: vault.lab.folder(to),
        data: ocm::store::archive::ParentData::Beside,
    };
    let made = ocm::workflow::sync::again::again(again("out"), &vault.lab.settings).await.expect("again").set.expect("a set");
    assert_eq!((made.root, made.signed_by.as_deref()), (set.root, Some("0101010101010101")));
    assert_eq!(vault.lab.archive("out"), vault.lab.archive("disk"));
    let signing = ocm::workflow::Settings { signer: Some(key(1)), ..vault.lab.settings.clone() };
    assert_eq!(ocm::workflow::sync::again::again(again("other"), &signing).await.expect_err("refused").kind(), Kind::Usage);
    // Whoever signs, the set and its root are the same.
    let by_another = vault.sync_with(Some(2), "elsewhere/disk", small).await.expect("a set").set.expect("a set");
    assert_eq!((by_another.root, &by_another.id), (set.root, &set.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_another_key_is_another_run() {
    let mut vault = Vault::new();
    (2..30).for_each(|number| vault.add(number));
    let begun = |vault: &mut Vault, seed: Option<u8>| {
        vault.lab.settings.signer = seed.map(key);
        let mut request = vault.lab.request(&[vault.from()], &vault.lab.path("disk"));
        request.archive.volume_bytes = 128 << 10;
        request
    };
    let request = begun(&mut vault, Some(1));
    let there = vault.lab.folder("disk");
    let stop = || {
        std::fs::read_dir(&there)
            .is_ok_and(|entries| entries.flatten().any(|entry| entry.path().extension().is_some_and(|ending| ending == "tar")))
    };
    vault.lab.cut(request, stop).await;
    let heard = crate::workflows::lab::Heard::of(&mut vault.lab);
    let request = ocm::workflow::sync::Request { dry_run: true, ..begun(&mut vault, Some(2)) };
    ocm::workflow::sync::sync(request, &vault.lab.settings).await.expect("a plan");
    assert!(heard.has(&["an interrupted run of another request lies here"]), "{:?}", heard.lines());
    let request = begun(&mut vault, Some(1));
    let set = ocm::workflow::sync::sync(request, &vault.lab.settings).await.expect("gone on with").set.expect("a set");
    assert!(heard.has(&["going on with the set"]) && set.signed_by.is_some(), "{:?}", heard.lines());
    // What was gone on with is what one run makes, signature and all.
    let at_once = vault.sync_with(Some(1), "elsewhere/disk", |request| request.archive.volume_bytes = 128 << 10).await;
    assert_eq!(at_once.expect("a set").set.expect("a set").root, set.root);
    assert_eq!(vault.lab.archive("elsewhere/disk"), vault.lab.archive("disk"));
    vault.demand(&vault.trust("trust", &[(1, "builder *")]), &[], &[]);
    vault.lab.settings.signer = None;
    assert_eq!(vault.deliver("disk", "out").await.expect("let in").class(), Class::Done);
}

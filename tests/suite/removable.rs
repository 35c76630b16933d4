//! Archives on removable media, one medium at a time: gathering them.
//!
//! *Not here:* handing volumes on as they are written (`handing`), runs that stop in other ways (`resume`).

mod handing;
mod mounts;
mod shop;

use std::path::Path;
use std::sync::{Arc, Mutex};

use ocm::error::Kind;
use ocm::monitor::{Event, Monitor};
use ocm::store::archive::Lock;
use ocm::transfer::Class;
use ocm::workflow::gather::{Fate, Request, gather};

use self::mounts::Mount;
use self::shop::{Shop, fates, files_of, flip, refusals, stock};
use crate::support::images::Image;
use crate::support::layers::Random;
use crate::support::tools::{Tool, run};

/// Files with their content and times, to see that a medium was not written to.
fn fingerprint(folder: &Path) -> Vec<(std::path::PathBuf, std::time::SystemTime, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|path| (path.clone(), path.metadata().expect("metadata").modified().expect("a time"), std::fs::read(&path).expect("content")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn media_in_any_order_come_to_the_whole_archive() {
    let shop = Shop::small().await;
    let volumes = shop.volumes();
    let all = volumes.len() as u32;
    let media = [shop.put("a", &volumes[..2]), shop.put("b", &volumes[2..4]), shop.put("c", &volumes[4..])];
    for (archive, order) in [("srv1", [0, 1, 2]), ("srv2", [2, 0, 1]), ("srv3", [1, 2, 0])] {
        let mut last_seen = false;
        let mut have = 0;
        for (turn, medium) in order.iter().enumerate() {
            let before = fingerprint(&media[*medium]);
            let outcome = shop.gather_into(archive, &[&media[*medium]]).await.expect("gathered");
            assert_eq!(fingerprint(&media[*medium]), before, "a medium is never written");
            last_seen |= *medium == 2;
            have += outcome.volumes.len() as u32;
            assert!(fates(&outcome).iter().all(|(_, fate)| *fate == Fate::Copied), "{outcome:?}");
            let [set] = outcome.sets.as_slice() else { panic!("{outcome:?}") };
            assert_eq!((set.have, set.exact, set.complete), (have, last_seen, turn == 2), "{archive} {turn}");
            assert_eq!(outcome.class(), if turn == 2 { Class::Done } else { Class::Needed });
            if last_seen {
                assert_eq!((set.of, set.missing.len() as u32), (all, all - have));
                assert_eq!(set.lineage.as_deref(), Some("disk"));
            } else {
                // A volume that does not say that it is the last has one after it.
                assert!(set.of < all + 1 && set.missing.contains(&set.of), "{set:?}");
            }
        }
        let volumes_alone = |stock: std::collections::BTreeMap<String, Vec<u8>>| -> Vec<_> {
            stock.into_iter().filter(|(name, _)| !name.contains(".c0")).collect()
        };
        assert!(volumes_alone(shop.stock(archive)) == volumes_alone(stock(&shop.disk)), "the same files under the same names");
    }
    shop.assert_usable("srv2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_alone_tells_how_many_volumes_there_are() {
    let shop = Shop::small().await;
    let all = shop.volumes().len() as u32;
    let first = shop.gather(&[&shop.put("a", &shop.volumes()[1..2])]).await.expect("gathered");
    assert_eq!((first.sets[0].have, first.sets[0].of, first.sets[0].exact), (1, 3, false));
    assert_eq!(first.sets[0].missing, [1, 3]);
    let second = shop.gather(&[&shop.put("b", &shop.catalogue())]).await.expect("gathered");
    assert_eq!((second.sets[0].have, second.sets[0].of, second.sets[0].exact), (1, all, true));
    assert_eq!(second.class(), Class::Needed);
    let third = shop.gather(&[&shop.put("c", &shop.volumes())]).await.expect("gathered");
    assert_eq!(third.class(), Class::Done);
    assert!(shop.stock("srv") == stock(&shop.disk));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_builds_on_another_names_it_until_that_is_here() {
    let shop = Shop::small().await;
    shop.layout.tag("three", &shop.layout.image(&Image::generated(3, 50_000)));
    let from = format!("oci:{}", shop.layout.path().display());
    shop.lab.sync(&[from], &shop.lab.path("disk")).await.expect("a second set");
    let (first, second): (Vec<_>, Vec<_>) = shop.volumes().into_iter().partition(|path| path.to_string_lossy().contains(".g0001-"));
    let delta = shop.gather(&[&shop.put("b", &second)]).await.expect("gathered");
    let [set] = delta.sets.as_slice() else { panic!("{delta:?}") };
    let [parent] = set.parents_elsewhere.as_slice() else { panic!("{set:?}") };
    assert!(set.complete && parent.starts_with("set 1 (id ") && delta.class() == Class::Done, "{delta:?}");
    let all = shop.gather(&[&shop.put("a", &first), &shop.lab.folder("b")]).await.expect("gathered");
    assert!(all.sets.len() == 2 && all.sets.iter().all(|set| set.parents_elsewhere.is_empty()), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_here_is_not_copied_again() {
    let shop = Shop::small().await;
    let medium = shop.put("a", &shop.volumes());
    let first = shop.gather(&[&medium]).await.expect("gathered");
    assert_eq!(first.copied_bytes, stock(&medium).values().map(|bytes| bytes.len() as u64).sum::<u64>());
    let before = fingerprint(&shop.lab.folder("srv"));
    let again = shop.gather(&[&medium, &shop.put("b", &shop.volumes()[..1])]).await.expect("gathered");
    assert!(fates(&again).iter().all(|(_, fate)| *fate == Fate::HadAlready), "{again:?}");
    assert_eq!((again.copied_bytes, again.class()), (0, Class::Done));
    assert_eq!(fingerprint(&shop.lab.folder("srv")), before);
}

/// A monitor that hears how many bytes of which volume moved, and may hold the run there.
#[derive(Default)]
struct Counted {
    moved: Mutex<Vec<(String, u64)>>,
    gate: Option<Mutex<std::sync::mpsc::Receiver<()>>>,
}

impl Monitor for Counted {
    fn event(&self, event: Event<'_>) {
        if let Event::Moved { image, bytes } = event {
            self.moved.lock().expect("no panic").push((image.to_owned(), bytes));
            if let Some(gate) = &self.gate {
                // The other end is dropped when the gate opens.
                let _ = gate.lock().expect("no panic").recv();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_cut_short_goes_on_and_is_proved_as_a_whole() {
    let mut shop = Shop::new(5_000_000, 4 << 20).await;
    let volumes = shop.volumes();
    let content = std::fs::read(&volumes[0]).expect("content");
    let medium = shop.put("a", &volumes[..1]);
    let name = volumes[0].file_name().expect("a name").to_string_lossy().into_owned();
    let mut torn = content[..(5 << 19)].to_vec();
    torn[(1 << 20)..].fill(0);
    for (archive, left, kept) in [
        ("srv1", content[..(5 << 19)].to_vec(), 2 << 20),
        ("srv2", content[..100].to_vec(), 0),
        // What a power cut left, or another volume: it is begun with, found to be of no use, and made anew.
        ("srv3", torn, 2 << 20),
        ("srv4", Random::new(7).noise(content.len() + 5000), content.len() as u64 >> 20 << 20),
    ] {
        let counted = Arc::<Counted>::default();
        shop.lab.settings.monitor = counted.clone();
        let scratch = shop.lab.folder(archive).join(".ocm");
        std::fs::create_dir_all(&scratch).expect("a folder");
        std::fs::write(scratch.join(format!("{name}.partial")), left).expect("a rest");
        let outcome = shop.gather_into(archive, &[&medium]).await.expect("gathered");
        assert_eq!(fates(&outcome), [("Volume 1".to_owned(), Fate::Copied)]);
        assert_eq!(counted.moved.lock().expect("no panic")[0].1, kept, "{archive}");
        assert_eq!(shop.stock(archive)[&name], content);
        assert!(!scratch.join(format!("{name}.partial")).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_dropped_stops_and_leaves_nothing_half_visible() {
    let mut shop = Shop::small().await;
    let medium = shop.put("a", &shop.volumes());
    let (open, gate) = std::sync::mpsc::channel();
    let held = Arc::new(Counted { gate: Some(Mutex::new(gate)), ..Counted::default() });
    let quiet = std::mem::replace(&mut shop.lab.settings.monitor, held.clone());
    let (request, settings) = (Request { sources: vec![medium.clone()], archive: shop.lab.folder("srv") }, shop.lab.settings.clone());
    let running = tokio::spawn(async move { gather(request, &settings).await });
    while held.moved.lock().expect("no panic").is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    running.abort();
    assert!(running.await.expect_err("dropped").is_cancelled());
    drop(open);
    while Lock::take(&shop.lab.folder("srv"), "a test").is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert!(shop.stock("srv").is_empty(), "the first volume was held in its middle");
    shop.lab.settings.monitor = quiet;
    assert_eq!(shop.gather(&[&medium]).await.expect("gathered").class(), Class::Done);
    assert!(files_of(&shop.lab.folder("srv"), ".v").len() == shop.volumes().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_volume_on_a_medium_is_named_with_its_place_and_a_good_copy_heals_it() {
    let shop = Shop::small().await;
    let volumes = shop.volumes();
    let middle = std::fs::metadata(&volumes[1]).expect("metadata").len() as i64 / 2;
    // A frame, a tar header, the index, the footer, the end of the tar, the header, the magic.
    for (at, place) in [
        (middle, "at 0x"),
        (0, "0x0"),
        (-3000, "at 0x"),
        (-1500, "footer"),
        (-3, "the end of the tar"),
        (600, "header"),
        (512, "no volume"),
    ] {
        let archive = format!("srv{at}");
        let medium = shop.put(&format!("bad{at}"), &volumes);
        let bad = medium.join(volumes[1].file_name().expect("a name"));
        flip(&bad, at);
        let outcome = shop.gather_into(&archive, &[&medium]).await.expect("gathered");
        assert_eq!(outcome.class(), Class::Damaged, "{at}: {outcome:?}");
        let [why] = refusals(&outcome).try_into().expect("one volume was refused");
        assert!(why.contains(&bad.display().to_string()) && why.contains(place), "{at}: {why}");
        assert_eq!((outcome.sets[0].have as usize, outcome.sets[0].missing.as_slice()), (volumes.len() - 1, [2].as_slice()), "{at}");
        let good = shop.put(&format!("good{at}"), &volumes[1..2]);
        let healed = shop.gather_into(&archive, &[&good]).await.expect("gathered");
        assert_eq!((fates(&healed), healed.class()), (vec![("Volume 2".to_owned(), Fate::Copied)], Class::Done), "{at}");
    }
    shop.assert_usable("srv0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_volume_here_makes_room_for_a_good_one_alone() {
    let shop = Shop::small().await;
    let volumes = shop.volumes();
    let medium = shop.put("good", &volumes);
    let worse = shop.put("bad", &volumes[1..2]);
    flip(&worse.join(volumes[1].file_name().expect("a name")), 40_000);
    for (archive, damage) in [("srv1", "content"), ("srv2", "truncated"), ("srv3", "header"), ("srv4", "renamed")] {
        shop.gather_into(archive, &[&medium]).await.expect("gathered");
        let path = shop.lab.folder(archive).join(volumes[1].file_name().expect("a name"));
        match damage {
            "content" => flip(&path, 50_000),
            "truncated" => std::fs::File::options().write(true).open(&path).and_then(|file| file.set_len(9000)).expect("cut"),
            "header" => flip(&path, 700),
            _ => {
                flip(&path, 50_000);
                std::fs::rename(&path, path.with_file_name("copy of 2.tar")).expect("renamed");
            }
        }
        let before = shop.lab.snapshot(archive);
        let outcome = shop.gather_into(archive, &[&worse]).await.expect("gathered");
        assert_eq!(refusals(&outcome).len(), 1, "{damage}: {outcome:?}");
        assert!(!outcome.sets[0].complete && outcome.sets[0].missing == [2], "{damage}: {outcome:?}");
        assert_eq!(shop.lab.snapshot(archive), before, "{damage}: a damaged one does not replace a damaged one");
        let outcome = shop.gather_into(archive, &[&medium]).await.expect("gathered");
        let replaced: Vec<_> = fates(&outcome).into_iter().filter(|(_, fate)| *fate != Fate::HadAlready).collect();
        assert_eq!(replaced, [("Volume 2".to_owned(), Fate::ReplacedDamaged)], "{damage}");
        assert_eq!(outcome.class(), Class::Done, "{damage}");
        assert!(files_of(&shop.lab.folder(archive), ".v").len() == volumes.len() && !path.with_file_name("copy of 2.tar").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_something_else_has_is_left_to_it() {
    let shop = Shop::small().await;
    let (volumes, medium) = (shop.volumes(), shop.put("a", &shop.volumes()));
    let third = shop.put("srv", &volumes[2..3]).join(volumes[2].file_name().expect("a name"));
    let taken = third.with_file_name(volumes[1].file_name().expect("a name"));
    std::fs::rename(&third, &taken).expect("volume 3 under the name of volume 2");
    let outcome = shop.gather(&[&medium]).await.expect("gathered");
    let [why] = refusals(&outcome).try_into().expect("one volume was refused");
    assert!(why.contains("another file has the name of this volume"), "{why}");
    assert_eq!(std::fs::read(&taken).expect("content"), std::fs::read(&volumes[2]).expect("content"));
    assert_eq!((outcome.sets[0].missing.as_slice(), outcome.class()), ([2].as_slice(), Class::Failed));
}

/// Writes a set of which all ids are given, of blobs made from `seed`.
fn made(folder: &Path, seed: u64) -> Vec<std::path::PathBuf> {
    use ocm_format::digest::Digest;
    use ocm_format::layout::Id;
    use ocm_format::set::{Lineage, Needs};
    use ocm_format::writer::{Closing, Fate, Form, Head, NewBlob, Options, SetWriter};
    std::fs::create_dir_all(folder).expect("a folder");
    let lineage = Lineage { id: Id([2; 16]), name: "twin".into() };
    let head = Head { set: Id([1; 16]), lineage, generation: 1, time: 1_700_000_000, parent: None };
    let options = Options {
        folder: folder.into(),
        scratch: folder.join(".ocm"),
        cap: 64 << 10,
        frame_bytes: 1 << 20,
        level: 3,
        threads: 1,
        index_bytes: 0,
        own_version_bytes: None,
        reserve_bytes: 0,
    };
    let mut set = SetWriter::create(head, options, Box::new(|_| Ok(Fate::Kept))).expect("a writer");
    let content = Random::new(seed).noise(150_000);
    let blob = NewBlob { digest: Digest::of(&content), bytes: 150_000, form: Form::Packed, note: String::new() };
    set.add(blob, &mut content.as_slice()).expect("stored");
    let closing = Closing {
        items: "[]".parse().expect("canonical"),
        options: "{}".parse().expect("canonical"),
        ancestors: Vec::new(),
        needs: Needs::default(),
        oci_layout: b"{}".to_vec(),
        index_json: b"{}".to_vec(),
        writer: "test".into(),
        catalogue: None,
        listed: Default::default(),
    };
    set.finish(closing).expect("finished").volumes.into_iter().map(|(path, _)| path).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_volumes_that_claim_one_number_the_set_manifest_decides() {
    let shop = Shop::small().await;
    let (ours, theirs) = (made(&shop.lab.folder("ours"), 1), made(&shop.lab.folder("theirs"), 2));
    let last = ours.len() - 1;
    assert!(last >= 2);
    shop.gather(&[&shop.put("a", &ours[..1])]).await.expect("gathered");
    let before = shop.stock("srv");
    let foreign = shop.put("b", &theirs[..2]);
    let outcome = shop.gather(&[&foreign]).await.expect("gathered");
    assert_eq!(outcome.class(), Class::Damaged);
    assert!(refusals(&outcome)[0].contains("no SET.json to tell which is right"), "{outcome:?}");
    assert_eq!(fates(&outcome)[1].1, Fate::Copied, "as far as anybody knows, volume 2 is of this set");
    assert_eq!(shop.stock("srv").first_key_value(), before.first_key_value(), "what was here stays");
    // The last volume tells: the foreign one makes room for the one that is named.
    let outcome = shop.gather(&[&shop.put("c", &ours[1..])]).await.expect("gathered");
    assert_eq!(fates(&outcome)[0].1, Fate::ReplacedDamaged);
    assert_eq!(outcome.class(), Class::Done, "{outcome:?}");
    let outcome = shop.gather(&[&foreign]).await.expect("gathered");
    assert!(refusals(&outcome).iter().all(|why| why.contains("not the volume that SET.json names")), "{outcome:?}");
    assert!(shop.stock("srv").into_values().eq(ours.iter().map(|path| std::fs::read(path).expect("content"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_of_two_lineages_are_gathered_side_by_side() {
    let shop = Shop::small().await;
    let mut other = Shop::small().await;
    other.lab.settings.random = [5; 16];
    let from = format!("oci:{}", shop.layout.path().display());
    let name = |request: &mut ocm::workflow::sync::Request| {
        (request.archive.volume_bytes, request.archive.lineage) = (shop::CAP, Some("other".into()));
    };
    other.lab.sync_with(&[from], &other.lab.path("second"), name).await.expect("an archive");
    let second = files_of(&other.lab.folder("second"), ".v");
    let medium = shop.put("a", &[&shop.volumes()[..2], &second[..]].concat());
    std::fs::write(medium.join("photo.jpg"), "not ours").expect("a file");
    let outcome = shop.gather(&[&medium]).await.expect("gathered");
    assert_eq!(outcome.volumes.len(), 2 + second.len(), "a photo is nobody's business");
    let sets: Vec<_> = outcome.sets.iter().map(|set| (set.lineage.as_deref(), set.complete)).collect();
    assert_eq!(sets, [(Some("disk"), false), (Some("other"), true)]);
    assert_eq!(outcome.class(), Class::Needed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_gathered_is_refused_before_anything_is_made() {
    let shop = Shop::small().await;
    let medium = shop.put("a", &shop.volumes());
    let empty = shop.lab.folder("empty");
    std::fs::create_dir_all(&empty).expect("a folder");
    for (source, kind, text) in [
        (empty.as_path(), Kind::Usage, "there is no volume of an ocm archive here"),
        (Path::new("/nowhere/dvd"), Kind::Failed, "No such file"),
    ] {
        let error = shop.gather(&[source]).await.expect_err("refused");
        assert!(error.kind() == kind && error.to_string().contains(text) && error.way_out().is_some(), "{error:?}");
        assert!(!shop.lab.folder("srv").exists());
    }
    let error = shop.gather_into("a", &[&medium]).await.expect_err("the medium is no archive to gather in");
    assert!(error.kind() == Kind::Usage && error.to_string().contains("it is the archive itself"), "{error}");
    let error = shop.gather_into("a", &[&shop.volumes()[0], &medium.join(shop.volumes()[0].file_name().expect("a name"))]).await;
    assert_eq!(error.expect_err("nor is a file of it a medium").kind(), Kind::Usage);
    let _lock = Lock::take(&shop.lab.folder("srv"), "another run").expect("the lock");
    let error = shop.gather(&[&medium]).await.expect_err("locked");
    assert!(error.to_string().contains("another run"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_medium_that_cannot_be_written_is_enough() {
    let shop = Shop::small().await;
    let medium = shop.put("a", &shop.volumes());
    let Some(seen) = Mount::read_only(&medium, &shop.lab.folder("ro")) else { return };
    std::fs::write(seen.path().join("x"), "x").expect_err("it is read-only");
    assert_eq!(shop.gather(&[seen.path()]).await.expect("gathered").class(), Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_is_told_before_anything_is_copied() {
    let shop = Shop::small().await;
    let medium = shop.put("a", &shop.volumes());
    let Some(disk) = Mount::memory(&shop.lab.folder("srv"), "300k") else { return };
    let error = shop.gather(&[&medium]).await.expect_err("no room");
    assert!(error.kind() == Kind::Failed && error.to_string().contains("bytes are needed and") && error.way_out().is_some(), "{error:?}");
    assert!(shop.stock("srv").is_empty());
    disk.resize("3m");
    assert_eq!(shop.gather(&[&medium]).await.expect("gathered").class(), Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_meanwhile_keeps_what_is_whole() {
    let mut shop = Shop::small().await;
    let medium = shop.put("a", &shop.volumes());
    let Some(disk) = Mount::memory(&shop.lab.folder("srv"), "3m") else { return };
    let filler = shop.lab.folder("srv/film");
    /// Fills the disk as soon as the second volume is begun.
    struct Fills(std::path::PathBuf);
    impl Monitor for Fills {
        fn event(&self, event: Event<'_>) {
            if let Event::Started { image, .. } = event
                && image.starts_with("volume 2")
            {
                // As much as there is room for.
                let _ = std::fs::write(&self.0, vec![1; 4 << 20]);
            }
        }
    }
    let quiet = std::mem::replace(&mut shop.lab.settings.monitor, Arc::new(Fills(filler.clone())));
    let error = shop.gather(&[&medium]).await.expect_err("full");
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.way_out().is_some() && error.notes().iter().any(|note| note.contains("1 volume was copied")), "{error:?}");
    assert_eq!(shop.stock("srv").len(), 1);
    std::fs::remove_file(filler).expect("removed");
    shop.lab.settings.monitor = quiet;
    assert_eq!(shop.gather(&[&medium]).await.expect("gathered").class(), Class::Done);
    drop(disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_disc_is_gathered_whatever_it_calls_its_files() {
    let Some(mut writer) = Tool::find("genisoimage") else { return };
    let shop = Shop::small().await;
    let (first, rest) = (shop.put("first", &shop.volumes()[..3]), shop.put("rest", &shop.volumes()[3..]));
    let image = |name: &str| shop.lab.folder(name);
    // Without Rock Ridge or Joliet, a disc has names of eight letters and three.
    run(writer.args(["-quiet", "-iso-level", "1", "-o"]).arg(image("first.iso")).arg(&first));
    run(Tool::find("genisoimage").expect("found above").args(["-quiet", "-R", "-o"]).arg(image("rest.iso")).arg(&rest));
    let Some(disc) = Mount::image(&image("first.iso"), &shop.lab.folder("dvd")) else { return };
    assert!(stock(disc.path()).is_empty(), "other names than ours");
    let outcome = shop.gather(&[disc.path()]).await.expect("gathered");
    assert_eq!((outcome.sets[0].have, outcome.sets[0].of, outcome.sets[0].exact), (3, 4, false), "{outcome:?}");
    drop(disc);
    let Some(disc) = Mount::image(&image("rest.iso"), &shop.lab.folder("dvd")) else { return };
    let outcome = shop.gather(&[disc.path()]).await.expect("gathered");
    assert_eq!(outcome.class(), Class::Done, "{outcome:?}");
    assert_eq!(shop.stock("srv").len(), shop.volumes().len());
    shop.assert_usable("srv").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_with_fat_is_read_back_and_takes_no_file_that_it_cannot_hold() {
    let Some(mut format) = Tool::find("mkfs.vfat") else { return };
    let shop = Shop::small().await;
    let stick = shop.lab.folder("stick.img");
    std::fs::File::create(&stick).and_then(|file| file.set_len(16 << 20)).expect("an image");
    run(format.arg(&stick));
    let Some(disk) = Mount::writable_image(&stick, &shop.lab.folder("srv")) else { return };
    let medium = shop.put("a", &shop.volumes());
    assert_eq!(shop.gather(&[&medium]).await.expect("gathered").class(), Class::Done);
    assert!(shop.stock("srv") == stock(&medium));
    drop(disk);
}

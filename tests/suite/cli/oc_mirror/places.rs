//! Where things are: exactly the newest set in the directory, earlier ones in the workspace, foreign archives aside.

use super::Scene;
use crate::support::images::{Image, Layout, push};

/// The first block of an archive as oc-mirror writes one.
fn foreign() -> Vec<u8> {
    let mut block = vec![0; 10_240];
    let name = b"docker/registry/v2/repositories/a/_layers/sha256/x/link";
    block[..name.len()].copy_from_slice(name);
    block[257..262].copy_from_slice(b"ustar");
    block
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_holds_the_newest_set_alone_and_earlier_ones_are_in_the_workspace() {
    let Some(scene) = Scene::new().await else { return };
    scene.done("-c isc.yaml file://disk --v2");
    scene.configure(&["one:1", "two:1", "three:1"]);
    let second = scene.done("-c isc.yaml file://disk --v2");
    assert!(second.out.contains("set 2 of \"disk\"") && second.out.contains("an earlier set is in disk/working-dir/sets/"), "{second:?}");
    let tars: Vec<String> = scene.names("disk").into_iter().filter(|name| name.starts_with("mirror_")).collect();
    assert_eq!(tars, ["mirror_000001.tar"]);
    let sets = scene.names("disk/working-dir/sets");
    assert_eq!(sets.len(), 1, "{sets:?}");
    assert!(scene.ocm.run(&["verify", &format!("disk/working-dir/sets/{}", sets[0])]).code == Some(0), "the earlier set is whole");
    let folder = scene.path("disk/working-dir/sets").join(&sets[0]);
    let sums = std::process::Command::new("sha256sum").args(["-c", &format!("{}.sha256", sets[0])]).current_dir(folder).output();
    assert!(sums.as_ref().is_ok_and(|sums| sums.status.success()), "its sums speak of its own names: {sums:?}");
    // The delta alone, where the first set was never brought, says what it needs.
    let far = scene.run("-c isc.yaml --from file://disk docker://FAR --v2");
    assert_eq!(far.code, Some(1), "{far:?}");
    assert!(far.out.contains("[ERROR]  : error: set 2 refers to content of set 1"), "{far:?}");
    let base = scene.done(&format!("-c isc.yaml --from file://disk docker://FAR --v2 --base disk/working-dir/sets/{}", sets[0]));
    assert!(base.out.contains("3 / 3 additional images"), "{base:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_archive_builds_on_one_that_was_carried_away() {
    let Some(scene) = Scene::new().await else { return };
    scene.done("-c isc.yaml file://disk --v2");
    std::fs::create_dir(scene.path("far")).expect("a folder");
    for name in scene.names("disk").into_iter().filter(|name| name.ends_with(".tar")) {
        std::fs::rename(scene.path("disk").join(&name), scene.path("far").join(&name)).expect("carried");
    }
    scene.done("-c isc.yaml --from file://far docker://FAR --v2");
    scene.configure(&["one:1", "two:1", "three:1"]);
    let second = scene.done("-c isc.yaml file://disk --v2");
    assert!(second.out.contains("set 2 of \"disk\"") && second.out.contains("delta"), "{second:?}");
    std::fs::rename(scene.path("disk/mirror_000001.tar"), scene.path("far/mirror_000001.tar")).expect("carried over the first one");
    scene.done("-c isc.yaml --from file://far docker://FAR --v2");
    assert!(scene.pushed("team/three:1").is_some());
    let none = scene.done("-c isc.yaml file://disk --v2");
    assert!(none.out.contains("nothing new"), "{none:?}");
    let all = scene.done("-c isc.yaml file://disk --v2 --since 2020-01-01");
    assert!(all.out.contains("· base"), "no set is older than that: {all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_of_oc_mirror_are_moved_aside_never_overwritten_and_never_read() {
    let Some(scene) = Scene::new().await else { return };
    std::fs::create_dir_all(scene.path("disk/oc-mirror-v2")).expect("a folder");
    std::fs::write(scene.path("disk/mirror_000001.tar"), foreign()).expect("theirs");
    std::fs::write(scene.path("disk/oc-mirror-v2/mirror_000001.tar"), "an earlier one").expect("theirs");
    let refused = scene.run("-c isc.yaml --from file://disk docker://FAR --v2");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.out.contains("mirror_000001.tar: it is an archive of oc-mirror, which ocm cannot read yet"), "{refused:?}");
    let plain = scene.ocm.run(&["sync", "-c", "isc.yaml", "disk"]);
    assert!(
        plain.code == Some(0) && plain.err.contains("disk/mirror_000001.tar: it is an archive of oc-mirror; it is left alone"),
        "{plain:?}"
    );
    assert_eq!(std::fs::read(scene.path("disk/mirror_000001.tar")).expect("theirs"), foreign());
    scene.configure(&["one:1"]);
    let made = scene.done("-c isc.yaml file://disk --v2");
    assert!(made.out.contains("it is disk/oc-mirror-v2/mirror_000001.tar.1 now"), "{made:?}");
    assert_eq!(std::fs::read(scene.path("disk/oc-mirror-v2/mirror_000001.tar.1")).expect("theirs"), foreign());
    assert_eq!(scene.text("disk/oc-mirror-v2/mirror_000001.tar"), "an earlier one");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_bring_from_is_said_as_oc_mirror_says_it() {
    let Some(scene) = Scene::new().await else { return };
    for folder in ["nowhere", "empty"] {
        std::fs::create_dir_all(scene.path("empty")).expect("a folder");
        let said = scene.run(&format!("-c isc.yaml --from file://{folder} docker://FAR --v2 --workspace file://ws"));
        let expected = format!("no tar archives matching \"mirror_[0-9]{{6}}\\.tar\" found in \"{folder}\"");
        assert!(said.code == Some(1) && said.out.contains(&expected), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_between_names_is_finished_by_the_next_one() {
    let Some(scene) = Scene::new().await else { return };
    scene.done("-c isc.yaml file://disk --v2");
    scene.configure(&["one:1", "two:1", "three:1"]);
    // What `ocm sync` leaves is what a run leaves that is killed before it gives the names.
    let plain = scene.ocm.run(&["sync", "-c", "isc.yaml", "disk", "--workspace", "disk/working-dir"]);
    assert_eq!(plain.code, Some(0), "{plain:?}");
    assert_eq!(scene.names("disk").iter().filter(|name| name.contains(".g0002-")).count(), 2, "{:?}", scene.names("disk"));
    let done = scene.done("-c isc.yaml file://disk --v2");
    assert!(done.out.contains("nothing new"), "{done:?}");
    let tars: Vec<String> =
        scene.names("disk").into_iter().filter(|name| name.ends_with(".v001.ocm.tar") || name.starts_with("mirror_")).collect();
    assert_eq!((tars, scene.names("disk/working-dir/sets").len()), (vec!["mirror_000001.tar".to_owned()], 1));
    assert_eq!(scene.ocm.run(&["verify", "disk/mirror_000001.tar"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_sets_go_when_a_person_asks_for_it_and_the_newest_ones_stay() {
    let Some(scene) = Scene::new().await else { return };
    for images in [&["one:1"][..], &["one:1", "two:1"], &["one:1", "two:1", "three:1"]] {
        scene.configure(images);
        scene.done("-c isc.yaml file://disk --v2");
    }
    let sets = || scene.names("disk/working-dir/sets");
    let prune = |keep: &str, more: &str| scene.ocm.run(&["prune", "--keep", keep, "--workspace", "disk/working-dir", more]);
    assert_eq!(sets().len(), 2);
    let dry = prune("1", "--dry-run");
    assert!(dry.code == Some(0) && dry.out.contains("set 1 of \"disk\"") && dry.out.contains("would go") && sets().len() == 2, "{dry:?}");
    // What a run that was killed had begun to remove.
    std::fs::create_dir_all(scene.path("disk/working-dir/sets/.removing-x")).expect("a folder");
    let pruned = prune("1", "-q");
    assert!(pruned.code == Some(0) && pruned.out.contains("set 2 of \"disk\"") && pruned.out.contains("1 set, "), "{pruned:?}");
    assert!(sets().len() == 1 && sets()[0].contains(".g0002-"), "{:?}", sets());
    assert!(scene.path("disk/mirror_000001.tar").is_file());
    // The catalogues stay, so the next archive is a delta all the same.
    assert_eq!(prune("0", "-q").code, Some(0));
    scene.configure(&["two:1"]);
    assert!(scene.done("-c isc.yaml file://disk --v2").out.contains("delta"));
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_beside_us_where_its_place_cannot_be_written() {
    let Some(scene) = Scene::new().await else { return };
    scene.done("-c isc.yaml file://disk --v2");
    std::fs::create_dir(scene.path("carried")).expect("a folder");
    std::fs::copy(scene.path("disk/mirror_000001.tar"), scene.path("carried/mirror_000001.tar")).expect("carried");
    // As good as a disk that cannot be written, whoever we are.
    std::fs::write(scene.path("carried/working-dir"), "in the way").expect("a file");
    let pushed = scene.done("-c isc.yaml --from file://carried docker://FAR --v2");
    assert!(pushed.out.contains("carried/working-dir cannot be written: state is kept in working-dir"), "{pushed:?}");
    assert!(scene.names("working-dir/cluster-resources").contains(&"itms-oc-mirror.yaml".to_owned()));
    let named = scene.run("-c isc.yaml --from file://carried docker://FAR --v2 --workspace file://carried");
    assert!(named.code == Some(1) && (named.out + &named.err).contains("with --workspace file://DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_of_which_a_killed_run_has_moved_a_part_keeps_its_sums() {
    let Some(scene) = Scene::new().await else { return };
    let layout = Layout::new();
    let root = layout.image(&Image::generated(9, 40 << 20));
    push(&layout, &root, &format!("{}/team/large", scene.near.host()), Some("1")).await;
    scene.configure(&["large:1"]);
    scene.done("-c isc.yaml file://disk --v2 --volume-size 16MiB");
    assert!(scene.path("disk/mirror_000002.tar").is_file());
    let sums = scene.names("disk").into_iter().find(|name| name.ends_with(".sha256")).expect("sums");
    let stem = sums.trim_end_matches(".sha256");
    // As a run leaves it that is killed after it moved the first volume.
    let moved = scene.path("disk/working-dir/sets").join(stem);
    std::fs::create_dir_all(&moved).expect("a folder");
    std::fs::rename(scene.path("disk/mirror_000001.tar"), moved.join(format!("{stem}.v001.ocm.tar"))).expect("moved");
    scene.ocm.run(&["sync", "-c", "isc.yaml", "--full", "disk", "--workspace", "disk/working-dir"]);
    scene.done("-c isc.yaml file://disk --v2");
    let checked = std::process::Command::new("sha256sum").args(["-c", &sums]).current_dir(&moved).output().expect("sha256sum");
    assert!(checked.status.success(), "{checked:?}");
}

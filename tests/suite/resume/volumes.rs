//! Runs that stop while volumes are handed over.

use ocm::error::Kind;
use ocm::transfer::Class;
use ocm::workflow::sync::sync;

use super::{Half, MANY_VOLUMES, MIB, fetched, fill, packed};
use crate::support::images::Image;
use crate::support::proxy::Proxy;
use crate::support::registry::Registry;
use crate::workflows::lab::{Heard, Lab};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ended_after_its_last_volume_is_completed_by_the_next_one() {
    let Some(mut half) = Half::with(MANY_VOLUMES).await else { return };
    let names: Vec<String> = half.lab.archive("whole/disk").into_keys().collect();
    let volumes = names.iter().filter(|name| name.contains(".v0")).count();
    let mut request = half.request("cut/disk");
    request.archive.on_volume = Some(format!("[ $OCM_VOLUME_NUMBER != {volumes} ]"));
    let error = sync(request, &half.lab.settings).await.expect_err("the command fails at the last volume");
    assert!(error.to_string().contains(&format!("v00{volumes}.ocm.tar: it ended with exit status: 1")), "{error}");
    // As after a kill right behind the last rename: the sums, the catalogues and what comes after are not there.
    std::fs::remove_dir_all(half.lab.folder("workspace")).expect("removed");
    for name in names.iter().filter(|name| name.contains(".c0") || name.ends_with(".sha256")) {
        std::fs::remove_file(half.folder().join(name)).expect("removed");
    }
    let heard = Heard::of(&mut half.lab);
    let handed = half.lab.path("handed");
    let mut request = half.request("cut/disk");
    request.archive.on_volume = Some(format!("echo $OCM_VOLUME_KIND $OCM_VOLUME_NUMBER >> {handed}"));
    let made = sync(request, &half.lab.settings).await.expect("nothing new");
    assert!(made.set.is_none() && made.class() == Class::Done);
    assert!(heard.has(&["set 1 was finished by a run that was interrupted"]), "{:?}", heard.lines());
    assert!(half.lab.archive("whole/disk") == half.lab.archive("cut/disk"));
    assert!(!half.folder().join(".ocm").exists());
    let handed = std::fs::read_to_string(handed).expect("the command ran");
    assert_eq!(handed, format!("volume {volumes}\ncatalogue 1\n"), "only what was not handed over");
    assert_eq!(std::fs::read_dir(half.lab.folder("workspace/catalogues")).expect("kept").count(), 2, "the catalogue, and the chunk index");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_was_finished_is_gone_on_with_whatever_else_has_its_name() {
    let Some(mut half) = Half::with(MANY_VOLUMES).await else { return };
    let mut elsewhere = half.lab.settings.clone();
    elsewhere.random = [7; 16];
    sync(half.request("other/disk"), &elsewhere).await.expect("another lineage of this name");
    let volumes = half.lab.archive("whole/disk").into_keys().filter(|name| name.contains(".v0")).count();
    let mut request = half.request("cut/disk");
    request.archive.on_volume = Some(format!("[ $OCM_VOLUME_NUMBER != {volumes} ]"));
    sync(request, &half.lab.settings).await.expect_err("the command fails at the last volume");
    let heard = Heard::of(&mut half.lab);
    let made = half.sync("cut/disk").await.expect("nothing new");
    assert!(heard.has(&["set 1 was finished by a run that was interrupted"]), "{:?}", heard.lines());
    assert!(made.set.is_none() && made.class() == Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_stops_at_its_volume_and_the_next_run_goes_on_there() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let from = [fill(&near, &proxy, "app", &Image::of((0..8).map(|n| packed(n, 2 * MIB)))).await];
    let log = lab.path("log");
    let run = |command: String| {
        let mut request = lab.request(&from, &lab.path("disk"));
        request.archive.volume_bytes = 4 << 20;
        (request.archive.on_volume, request.archive.release) = (Some(command), true);
        sync(request, &lab.settings)
    };
    let discs = lab.path("discs");
    std::fs::create_dir(&discs).expect("a folder");
    let burn = |fails_at: u32| {
        format!(
            "echo $OCM_VOLUME_KIND $OCM_VOLUME_NUMBER >> {log}; \
             if [ \"$OCM_VOLUME_NUMBER\" = {fails_at} ]; then exit 3; fi; cp $OCM_VOLUME {discs}/"
        )
    };
    let error = run(burn(2)).await.expect_err("it fails at volume 2");
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.to_string().contains(".v002.ocm.tar") && error.to_string().contains("exit status: 3"), "{error}");
    assert!(error.way_out().is_some_and(|hint| hint.contains("goes on at this volume")), "{error:?}");
    proxy.forget();
    let made = run(burn(0)).await.expect("it goes on").set.expect("a set");
    assert!(made.volumes.len() > 3 && made.volumes.iter().all(|volume| volume.released && !volume.path.exists()));
    assert!(fetched(&proxy) < 16 * MIB, "{}", fetched(&proxy));
    let log = std::fs::read_to_string(log).expect("a log");
    let numbers: Vec<&str> = log.lines().collect();
    assert_eq!(numbers[..3], ["volume 1", "volume 2", "volume 2"], "{log}");
    assert_eq!(numbers.iter().filter(|line| line.starts_with("volume")).count(), made.volumes.len() + 1, "each once more: {log}");
    assert!(log.ends_with("catalogue 1\n"), "{log}");
    // What was carried away is a whole archive.
    let far = lab.sync(&[&discs], &format!("oci:{}", lab.path("layout"))).await.expect("readable");
    assert_eq!(far.class(), Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_while_a_volume_is_handed_over_hands_it_over_again() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let from = [fill(&near, &proxy, "app", &Image::of((0..8).map(|n| packed(n, 2 * MIB)))).await];
    let (log, gate) = (lab.folder("log"), lab.path("gate"));
    let command = format!("echo $OCM_VOLUME_NUMBER >> {}; while [ ! -e {gate} ]; do sleep 0.01; done; exit 1", log.display());
    let mut request = lab.request(&from, &lab.path("disk"));
    (request.archive.volume_bytes, request.archive.on_volume) = (4 << 20, Some(command));
    let open = gate.clone();
    let begun = log.clone();
    lab.cut(request, move || {
        let begun = begun.exists();
        if begun {
            std::fs::write(&open, "").expect("the gate");
        }
        begun
    })
    .await;
    let made = lab
        .sync_with(&from, &lab.path("disk"), |request| {
            (request.archive.volume_bytes, request.archive.on_volume) =
                (4 << 20, Some(format!("[ $OCM_VOLUME_KIND = catalogue ] || echo $OCM_VOLUME_NUMBER >> {}", log.display())));
        })
        .await
        .expect("it goes on");
    let log = std::fs::read_to_string(log).expect("a log");
    let twice = log.lines().filter(|line| *line == "1").count();
    assert_eq!(twice, 2, "{log}");
    assert_eq!(log.lines().filter(|line| !line.is_empty()).count(), made.set.expect("a set").volumes.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_gone_before_it_was_handed_over_is_named() {
    let Some(near) = Registry::start() else { return };
    let lab = Lab::new();
    let from = [lab.fill(&near, "team/app", "1", &Image::of((0..8).map(|n| packed(n, 2 * MIB)))).await];
    let run = |command: &str| {
        let mut request = lab.request(&from, &lab.path("disk"));
        (request.archive.volume_bytes, request.archive.on_volume) = (4 << 20, Some(command.to_owned()));
        sync(request, &lab.settings)
    };
    run("rm $OCM_VOLUME; exit 1").await.expect_err("it fails");
    let error = run("true").await.expect_err("the file is gone");
    assert_eq!(error.kind(), Kind::Needed);
    assert!(error.to_string().contains("v001.ocm.tar") && error.to_string().contains("its file is gone"), "{error}");
    assert!(error.way_out().is_some_and(|hint| hint.contains("remove the folder .ocm")), "{error:?}");
}

//! Journals, volumes in the making and waiting blobs that a crash has hurt.

use std::path::Path;

use ocm::transfer::Class;

use super::{Half, MIB, fetched, fill, one, packed};
use crate::support::fault::{Fault, every};
use crate::support::images::Image;
use crate::support::proxy::{Class as About, Proxy};
use crate::support::registry::Registry;
use crate::workflows::lab::Lab;

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_garbled_journal_costs_work_and_never_content() {
    let Some(half) = Half::new().await else { return };
    for garble in [
        (|path: &Path| std::fs::remove_file(path).expect("removed")) as fn(&Path),
        |path| std::fs::write(path, b"garbage").expect("written"),
        |path| {
            let bytes = std::fs::read(path).expect("the journal");
            std::fs::write(path, &bytes[..bytes.len() * 2 / 3]).expect("cut");
        },
        |path| {
            let mut bytes = std::fs::read(path).expect("the journal");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(path, bytes).expect("written");
        },
    ] {
        half.stop_again();
        garble(&one(&half.folder().join(".ocm"), ".journal"));
        half.goes_on().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_that_tears_what_was_not_synced_costs_no_content() {
    let Some(half) = Half::new().await else { return };
    // Each takes away something of what the system may lose: files that are not synced may lack or lose any of their pages.
    for (what, tear) in [
        ("the end is cut", (|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() * 2 / 3)) as fn(&mut Vec<u8>)),
        ("nothing is there", |bytes| bytes.clear()),
        ("pages are zero", |bytes| {
            let from = bytes.len() / 2 / 4096 * 4096;
            for page in bytes[from..].chunks_mut(4096).step_by(37) {
                page.fill(0);
            }
        }),
        ("one bit in the middle", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
        }),
        ("it is longer than it was", |bytes| bytes.extend(vec![0; 100_000])),
    ] {
        half.stop_again();
        let path = one(&half.folder(), ".partial");
        let mut bytes = std::fs::read(&path).expect("the partial");
        assert!(bytes.len() > 3 << 20, "{what}: {}", bytes.len());
        tear(&mut bytes);
        std::fs::write(&path, bytes).expect("torn");
        half.goes_on().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_waits_in_a_torn_file_is_fetched_again() {
    let Some(near) = Registry::start() else { return };
    let (lab, proxy) = (Lab::new(), Proxy::before(near.host()));
    let from = [fill(&near, &proxy, "app", &Image::of([packed(1, 60 * MIB)])).await];
    proxy.set(every("GET", About::Blob, Fault::none().rate(40 * MIB)));
    lab.cut(lab.request(&from, &lab.path("disk")), || fetched(&proxy) > 20 * MIB).await;
    let waiting = one(&lab.folder("disk/.ocm"), ".0");
    let mut bytes = std::fs::read(&waiting).expect("the blob");
    assert!(bytes.len() > 16 << 20);
    bytes[1 << 20..(1 << 20) + 4096].fill(0);
    std::fs::write(&waiting, bytes).expect("torn");
    proxy.set(|_| Fault::none());
    let made = lab.sync(&from, &lab.path("disk")).await.expect("it goes on");
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
}

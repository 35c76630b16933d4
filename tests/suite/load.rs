//! Mount, serve and sync of one archive at once, under several clients, for as long as `OCM_LOAD` says in seconds.
//!
//! **Invariants.** Every client compares what it gets. What the two programs take at rest is measured before and after; what they take
//! under load is sampled, and told on stderr.
//!
//! *Not here:* many clients at one moment (unit tests of `serve`), what a single mount takes (`mount`).

mod clients;
mod samples;

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use self::clients::{Client, Stage};
use self::samples::Samples;
use crate::mount::seen::{Archive, Seen};
use crate::serve::Home;
use crate::support::images::{Image, zoo};
use crate::support::layers::Layer;
use crate::support::process::Watched;

/// How long the load lasts: a moment, where nothing is said.
fn lasts() -> Duration {
    let seconds = std::env::var("OCM_LOAD").ok().map(|text| text.parse().expect("OCM_LOAD is a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(2))
}

/// An archive of two sets with every kind of image, and some that are larger.
async fn archive() -> Archive {
    let archive = Archive::written(zoo().0).await;
    archive.add("large", &Image::of([Layer::tree(40, 3 << 20).tar(), Layer::tree(41, 2 << 20), Layer::tree(42, 1 << 20).zstd()])).await;
    archive
}

/// What a process has open when nobody asks it anything: what it has for a second on end.
fn at_rest(process: Watched) -> usize {
    let (mut found, mut since) = (process.descriptors(), Instant::now());
    while since.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(50));
        if process.descriptors() != found {
            (found, since) = (process.descriptors(), Instant::now());
        }
    }
    found
}

/// Runs all clients, one after the other again and again, each in its own thread, until it is over; says how many rounds each made.
fn under_load(stage: &Stage<'_>, clients: &[Client], mut sample: impl FnMut()) -> Vec<u64> {
    let (over, rounds) = (AtomicBool::new(false), clients.iter().map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        for (client, rounds) in clients.iter().zip(&rounds) {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    client.round(stage);
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (begun, pause) = (Instant::now(), (lasts() / 200).clamp(Duration::from_millis(100), Duration::from_secs(5)));
        while begun.elapsed() < lasts() {
            std::thread::sleep(pause);
            sample();
        }
        over.store(true, Ordering::Relaxed);
    });
    rounds.into_iter().map(AtomicU64::into_inner).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_memory_and_descriptors_of_mount_and_serve_stay() {
    let archive = archive().await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let home = Home::new();
    let served = home.serve(&[&archive.path()]);
    let stage = Stage { archive: &archive, seen: &seen, home: &home, host: served.host() };
    let clients = Client::all();
    // Once through everything, so that all is open that stays open.
    clients.iter().for_each(|client| client.round(&stage));
    let processes = [("mount", seen.watched()), ("serve", served.watched())];
    let before = processes.map(|(_, process)| at_rest(process));
    let mut samples = processes.map(|_| Samples::default());
    let rounds = under_load(&stage, &clients, || {
        samples.iter_mut().zip(processes).for_each(|(samples, (_, process))| samples.take(process));
    });
    let mut said = format!("load of {} s, rounds: ", lasts().as_secs());
    said += &clients.iter().zip(&rounds).map(|(client, rounds)| format!("{client:?} {rounds}")).collect::<Vec<_>>().join(", ");
    for ((name, process), (before, samples)) in processes.into_iter().zip(before.into_iter().zip(&samples)) {
        let after = at_rest(process);
        said += &format!("\n{name}: {samples}; descriptors at rest {before} before, {after} after");
        assert_eq!(after, before, "{said}");
    }
    writeln!(std::io::stderr(), "{said}").expect("stderr is open in a test");
    assert!(rounds.iter().all(|rounds| *rounds > 0), "{said}");
    assert!(samples.iter().all(Samples::stays), "{said}");
}

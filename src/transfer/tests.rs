//! Tests of [`super::transfer`].

use std::sync::Mutex;
use std::time::Instant;

use super::*;
use crate::image::manifest::OCI_MANIFEST;
use crate::image::{Descriptor, Digest, Item, State, Wanted};
use crate::monitor::{Monitor, Silent};
use crate::plan::lab::{Lab, Trouble, name, want};

const OPTIONS: Options = Options { jobs: 3, image_timeout: None };

/// An image of one small layer and a shared base for each letter, wanted below `reg`.
fn images(lab: &Lab, letters: &[&str]) -> Vec<Wanted> {
    let one = |letter: &&str| {
        let origin = format!("quay.io/{letter}:1");
        want(lab, &origin, &lab.image(&origin, &["base", &format!("layer of {letter}")]))
    };
    letters.iter().map(one).collect()
}

fn layer_of(letter: &str) -> Digest {
    Digest::of(format!("layer of {letter}").as_bytes())
}

fn config_of(letter: &str) -> Digest {
    Digest::of(format!("config of [\"base\", \"layer of {letter}\"]").as_bytes())
}

async fn plan(wanted: Vec<Wanted>, sink: &Lab) -> Plan {
    let monitor: SharedMonitor = Arc::new(Silent);
    Plan::make(wanted, sink, 3, &monitor).await.expect("a plan")
}

async fn run(wanted: Vec<Wanted>, sink: &Lab, options: Options) -> Result<Report> {
    let plan = plan(wanted, sink).await;
    Ok(transfer(plan, Box::new(sink.clone()), options, Arc::new(Silent)).await?.0)
}

/// What became of each item, in a word or by its error.
fn endings(report: &Report) -> Vec<String> {
    let word = |outcome: &Outcome| match &outcome.ending {
        Ending::Done { .. } => "done".to_owned(),
        Ending::Already => "already".to_owned(),
        Ending::Failed(error) => error.to_string(),
    };
    report.items.iter().map(word).collect()
}

fn failing(sink: &Lab, at: impl ToString) {
    sink.trouble(at, Trouble::Fail(Error::failed("no")));
}

/// An archive as a sink: blobs are there for all, names never, and all is written in order.
fn archive() -> Lab {
    Lab::with(|state| (state.shares, state.nameless, state.in_order) = (true, true, true))
}

#[tokio::test]
async fn a_registry_gets_everything_and_is_finished_once() {
    let (lab, sink) = (Lab::default(), Lab::default());
    let wanted = images(&lab, &["a", "b", "c", "d"]);
    let report = run(wanted.clone(), &sink, OPTIONS).await.expect("a report");
    assert_eq!((endings(&report), report.class()), (vec!["done".to_owned(); 4], Class::Done));
    assert_eq!(report.bytes_moved, 4 + 4 * ("layer of a".len() as u64 + 32));
    assert_eq!(sink.state().finished, Some(report.contents()));
    assert!(sink.state().names.contains_key(&name("reg:5000/d:1")));
    let again = run(wanted, &sink, OPTIONS).await.expect("a report");
    assert_eq!((endings(&again), again.bytes_moved), (vec!["already".to_owned(); 4], 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_is_done_in_the_order_of_the_plan_with_few_blobs_waiting() {
    for (jobs, sink) in [(1, archive()), (3, archive()), (1, Lab::with(|state| state.in_order = true))] {
        let lab = Lab::default();
        let letters: Vec<String> = (0..40).map(|n| format!("a{n}")).collect();
        let wanted = images(&lab, &letters.iter().map(String::as_str).collect::<Vec<_>>());
        for letter in &letters {
            for digest in [layer_of(letter), config_of(letter)] {
                sink.trouble(format!("put {digest}"), Trouble::Slow(Duration::from_micros(u64::from(digest.bytes()[0]) * 20)));
            }
        }
        let plan = plan(wanted, &sink).await;
        let order: Vec<String> =
            plan.steps().iter().map(|step| step.work.to_string().split(' ').nth(1).unwrap_or_default().to_owned()).collect();
        let (report, _) = transfer(plan, Box::new(sink.clone()), Options { jobs, ..OPTIONS }, Arc::new(Silent)).await.expect("a report");
        assert_eq!(report.class(), Class::Done, "{report:?}");
        let state = sink.state();
        let written: Vec<_> = state.written.iter().map(|line| line.split(' ').nth(1).unwrap_or_default().to_owned()).collect();
        assert_eq!(written, order);
        let mounting = if state.shares { 0 } else { jobs };
        let (waited, ran) = (state.most_waiting, state.most_running);
        assert!(waited <= jobs && ran <= jobs + mounting && (jobs == 1 || ran > 1), "{waited} waited, {ran} ran");
    }
}

#[tokio::test]
async fn a_failed_blob_fails_its_item_and_what_follows_of_it_is_not_tried() {
    let (lab, sink) = (Lab::default(), Lab::default());
    failing(&sink, format!("put {}", layer_of("b")));
    let report = run(images(&lab, &["a", "b", "c"]), &sink, OPTIONS).await.expect("a report");
    assert_eq!((endings(&report), report.class()), (vec!["done".to_owned(), "no".into(), "done".into()], Class::Partial));
    assert!(sink.log("to reg:5000/b").iter().all(|line| !line.contains("push")));
    assert!(sink.log("point reg:5000/b").is_empty());
    let finished = sink.state().finished.clone().expect("finished");
    assert_eq!(finished.find(&name("quay.io/b:1")).map(|item| item.state.clone()), Some(State::Missing("no".into())));
}

#[tokio::test]
async fn a_shared_blob_is_brought_although_the_first_item_that_needs_it_failed() {
    let (lab, sink) = (Lab::default(), Lab::with(|state| state.shares = true));
    failing(&sink, format!("put {}", config_of("a")));
    let report = run(images(&lab, &["a", "b"]), &sink, Options { jobs: 1, ..OPTIONS }).await.expect("a report");
    assert_eq!(endings(&report), ["no", "done"]);
    assert!(sink.log(&format!("put {}", layer_of("a"))).is_empty(), "only what another item needs");
}

#[tokio::test]
async fn a_blob_that_could_not_be_brought_to_one_repository_is_brought_to_the_next() {
    let (lab, sink) = (Lab::default(), Lab::default());
    failing(&sink, format!("put {} to reg:5000/a", Digest::of(b"base")));
    let report = run(images(&lab, &["a", "b"]), &sink, OPTIONS).await.expect("a report");
    assert_eq!(endings(&report), ["no", "done"]);
    assert_eq!(sink.log(&format!("put {}", Digest::of(b"base"))).len(), 2);
}

#[tokio::test]
async fn what_waits_to_be_mounted_keeps_nobody_from_going_on() {
    let (lab, sink) = (Lab::default(), Lab::default());
    let base = Digest::of(b"base");
    sink.trouble(format!("put {base}"), Trouble::Slow(Duration::from_millis(200)));
    let report = run(images(&lab, &["a", "b", "c", "d", "e"]), &sink, Options { jobs: 2, ..OPTIONS }).await.expect("a report");
    assert_eq!(report.class(), Class::Done);
    let log = sink.log(" to reg");
    let mounts = log.iter().position(|line| line.starts_with("mount")).expect("a mount");
    let last_put = log.iter().rposition(|line| line.starts_with("put")).expect("a put");
    assert!(last_put < mounts, "{log:?}");
}

#[tokio::test]
async fn an_error_of_what_is_left_stops_the_whole_run() {
    let (lab, sink) = (Lab::default(), archive());
    sink.trouble(format!("put {}", layer_of("b")), Trouble::FailInOrder(Error::failed("disk full")));
    let error = run(images(&lab, &["a", "b", "c"]), &sink, OPTIONS).await.map(|_| ()).expect_err("the disk is full");
    assert_eq!(error.to_string(), "disk full");
    assert!(sink.state().finished.is_none());
    assert!(sink.state().written.iter().all(|line| !line.contains(&layer_of("c").to_string())));
}

#[tokio::test]
async fn a_panic_fails_its_item_only() {
    let (lab, sink) = (Lab::default(), Lab::default());
    sink.trouble(format!("put {}", layer_of("a")), Trouble::Panic);
    let report = run(images(&lab, &["a", "b"]), &sink, OPTIONS).await.expect("a report");
    let endings = endings(&report);
    assert!(endings[0].contains("panicked") && endings[0].contains(&layer_of("a").to_string()), "{endings:?}");
    assert_eq!(endings[1], "done");
}

#[tokio::test]
async fn a_step_without_progress_is_given_up_and_a_slow_one_is_not() {
    let (lab, sink) = (Lab::default(), Lab::default());
    sink.trouble(format!("put {}", layer_of("a")), Trouble::Slow(Duration::from_secs(3600)));
    sink.trouble(format!("put {}", layer_of("b")), Trouble::Trickle(Duration::from_millis(100), 12));
    sink.trouble("point reg:5000/c", Trouble::Slow(Duration::from_secs(3600)));
    let options = Options { image_timeout: Some(Duration::from_millis(800)), ..OPTIONS };
    let report = run(images(&lab, &["a", "b", "c"]), &sink, options).await.expect("a report");
    let endings = endings(&report);
    assert_eq!(endings[0], format!("blob {} to reg:5000/a, 10 bytes in target: no progress for 0.8 s", layer_of("a")));
    assert_eq!(endings[1], "done");
    assert!(endings[2].starts_with("name reg:5000/c:1"), "{endings:?}");
}

#[tokio::test]
async fn names_of_a_group_become_visible_together_or_not_at_all() {
    let (lab, sink) = (Lab::default(), Lab::default());
    let mut wanted = images(&lab, &["a", "b", "c", "d", "e"]);
    for (at, group) in [(0, "one"), (2, "one"), (1, "two"), (3, "two")] {
        wanted[at].item.group = Some(group.into());
    }
    wanted[3] = wanted[3].clone().fail(Error::needed("set 1 is not here"));
    failing(&sink, format!("push {}", wanted[2].item.digest().expect("a root")));
    let report = run(wanted, &sink, OPTIONS).await.expect("a report");
    let held =
        |one: &str, other: &str| format!("image quay.io/{one}:1: it is held back, because quay.io/{other}:1 of its group is not complete");
    assert_eq!(endings(&report), [held("a", "c"), held("b", "d"), "no".into(), "set 1 is not here".into(), "done".into()]);
    assert_eq!(sink.state().names.len(), 1);
    assert!(sink.state().holds(name("reg:5000/a").repository(), &layer_of("a")), "its content is there for the next run");
}

#[tokio::test]
async fn nothing_is_finished_when_nothing_is_complete() {
    let (lab, sink) = (Lab::default(), Lab::default());
    failing(&sink, "put");
    let report = run(images(&lab, &["a", "b"]), &sink, OPTIONS).await.expect("a report");
    assert_eq!((report.class(), sink.state().finished.is_none()), (Class::Failed, true));
    let (_, contents) = transfer(plan(vec![], &sink).await, Box::new(sink.clone()), OPTIONS, Arc::new(Silent)).await.expect("a report");
    assert!(contents.items().is_empty() && sink.state().finished.is_none());
}

#[tokio::test]
async fn dropping_a_transfer_stops_its_tasks() {
    let (lab, sink) = (Lab::default(), Lab::default());
    sink.trouble("put", Trouble::Slow(Duration::from_millis(50)));
    let plan = plan(images(&lab, &["a", "b"]), &sink).await;
    let running = transfer(plan, Box::new(sink.clone()), OPTIONS, Arc::new(Silent));
    assert!(tokio::time::timeout(Duration::from_millis(10), running).await.is_err());
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(lab.log("read").is_empty() && sink.log("put").len() == OPTIONS.jobs, "{:?}", sink.log(""));
}

/// Keeps what was told, in words.
#[derive(Default)]
struct Ear(Mutex<Vec<String>>);

impl Monitor for Ear {
    fn event(&self, event: Event<'_>) {
        let line = match event {
            Event::Total { bytes } => format!("total {bytes}"),
            Event::Started { image, bytes } => format!("started {image} {bytes}"),
            Event::Moved { image, bytes } => format!("moved {image} {bytes}"),
            Event::Ended { image, complete } => format!("ended {image} {complete}"),
            _ => return,
        };
        self.0.lock().expect("no panic").push(line);
    }
}

#[tokio::test]
async fn every_image_is_told_of_from_start_to_end_and_all_bytes_are_counted() {
    let (lab, sink, ear) = (Lab::default(), Lab::default(), Arc::new(Ear::default()));
    failing(&sink, "point reg:5000/b");
    let plan = plan(images(&lab, &["a", "b"]), &sink).await;
    transfer(plan, Box::new(sink.clone()), OPTIONS, ear.clone()).await.expect("a report");
    let told = ear.0.lock().expect("no panic").clone();
    let count = |text: &str| told.iter().filter(|line| line.starts_with(text)).count();
    assert_eq!(told[0], "total 88");
    assert_eq!(
        [
            count("started quay.io/a:1 46"),
            count("started quay.io/b:1 42"),
            count("ended quay.io/a:1 true"),
            count("ended quay.io/b:1 false")
        ],
        [1; 4]
    );
    let moved: u64 =
        told.iter().filter(|line| line.starts_with("moved")).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
    assert_eq!((moved, count("ended")), (88, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_tiny_items_are_quick() {
    for sink in [Lab::default(), archive()] {
        let lab = Lab::default();
        let letters: Vec<String> = (0..2000).map(|n| format!("a{n}")).collect();
        let wanted = images(&lab, &letters.iter().map(String::as_str).collect::<Vec<_>>());
        let start = Instant::now();
        let report = run(wanted, &sink, Options { jobs: 8, ..OPTIONS }).await.expect("a report");
        assert_eq!(report.class(), Class::Done);
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }
}

fn outcome(ending: Ending) -> Outcome {
    let root = Descriptor::new(OCI_MANIFEST, Digest::of(b"root"), 4);
    Outcome { item: Item { root: Some(root), ..Item::image(name("quay.io/a:1")) }, name: name("reg:5000/a:1"), ending }
}

#[test]
fn the_worst_class_wins() {
    use crate::error::Kind::{Damaged, Failed, Interrupted, Needed, Usage};
    let failed = |kind| outcome(Ending::Failed(Error::new(kind, "no")));
    let done = || outcome(Ending::Done { bytes: 1 });
    for (items, class, code) in [
        (vec![], Class::Done, 0),
        (vec![done(), outcome(Ending::Already)], Class::Done, 0),
        (vec![failed(Failed), failed(Damaged), failed(Needed)], Class::Failed, 1),
        (vec![failed(Needed), failed(Usage), failed(Failed)], Class::Usage, 2),
        (vec![done(), failed(Failed), failed(Usage)], Class::Partial, 3),
        (vec![done(), failed(Failed), failed(Needed), failed(Damaged)], Class::Damaged, 4),
        (vec![done(), failed(Failed), failed(Needed)], Class::Needed, 5),
        (vec![failed(Needed)], Class::Needed, 5),
        (vec![done(), failed(Interrupted)], Class::Interrupted, 130),
    ] {
        let report = Report { items, bytes_moved: 0 };
        assert_eq!((report.class(), report.class().exit_code()), (class, code), "{report:?}");
    }
}

#[test]
fn a_report_can_be_read_by_programs() {
    let failed = Ending::Failed(Error::damaged("bits").hint("copy it again"));
    let report = Report { items: vec![outcome(Ending::Done { bytes: 7 }), outcome(Ending::Already), outcome(failed)], bytes_moved: 7 };
    let json = serde_json::to_value(&report).expect("json");
    assert_eq!(json["bytesMoved"], 7);
    assert_eq!((&json["items"][0]["result"], &json["items"][0]["bytesMoved"]), (&"done".into(), &7.into()));
    assert_eq!(json["items"][1]["result"], "already");
    let failed = &json["items"][2];
    assert_eq!([&failed["result"], &failed["class"], &failed["why"], &failed["hint"]], ["failed", "damaged", "bits", "copy it again"]);
    assert_eq!(failed["item"]["origin"], "quay.io/a:1");
}

//! Networks and registries that fail now and then, for as long as a whole run by a configuration takes.
//!
//! **Invariants.** No run is helped: it ends well by itself, and moves nothing more often than the faults explain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ocm::transfer::Class;

use super::fleet::Fleet;
use super::{assert_hints, assert_says, failure};
use crate::support::fault::{Fault, Storm};
use crate::support::proxy::{Class as About, Proxy, Request};
use crate::support::registry::Registry;

/// A proxy in a storm.
fn stormy(upstream: &str, seed: u64) -> (Proxy, Storm) {
    let storm = Storm::new(seed, 5);
    let proxy = Proxy::with(upstream, {
        let storm = storm.clone();
        move |request| storm.fault(request)
    });
    (proxy, storm)
}

/// Each blob was fetched once, but for the faults at its source, and at its destination where uploads begin anew.
fn assert_fetched_once(proxy: &Proxy, storms: &[&Storm]) {
    let log = proxy.log();
    let fetched: Vec<&str> =
        log.iter().filter_map(|line| line.strip_prefix("GET ")?.split_once("/blobs/")).map(|(_, digest)| digest).collect();
    let unique = fetched.iter().collect::<BTreeSet<_>>().len() as u64;
    let hurt: u64 = storms.iter().map(|storm| storm.met(|key| key.contains("/blobs")).1).sum();
    assert!(unique > 100 && fetched.len() as u64 <= unique + hurt, "{} of {unique}, and {hurt} faults", fetched.len());
}

/// A blob was pushed once, or once more for each fault: what each repository has not is brought or mounted once.
fn assert_pushed_once(fleet: &Fleet, proxy: &Proxy, storm: &Storm) {
    let (_, hurt) = storm.met(|key| key.contains("/blobs"));
    let up = |request: &Request| request.class == About::Upload && !request.path.contains("mount=");
    let bytes = proxy.count_of(up).up_bytes;
    let base = fleet.base.stored().len() as u64;
    // A layer and a configuration for each image, and a base for all of them; chunks are a little longer on the wire.
    let own = 2_500 * fleet.images.len() as u64;
    assert!(bytes <= own + base * (1 + hurt), "{bytes} bytes, and {hurt} faults");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_images_come_through_storms_in_each_workflow_without_help() {
    let (Some(mut fleet), Some(far), Some(other)) = (Fleet::of(200).await, Registry::start(), Registry::start()) else { return };
    (fleet.lab.settings.retry_times, fleet.lab.settings.jobs) = (3, 16);
    let (before, storm) = stormy(fleet.near.host(), 1);
    let (behind, back) = stormy(far.host(), 2);
    let (across, there) = stormy(other.host(), 3);
    let wishes = fleet.all(&before.host());
    let made = fleet.run(wishes.clone(), &[], &fleet.lab.path("disk")).await;
    let set = made.set.as_ref().expect("a set");
    assert_eq!((made.class(), set.items_complete), (Class::Done, 200), "{:?}", made.report);
    assert!(storm.met(|_| true).1 > 20, "{:?}", storm.met(|_| true));
    assert_fetched_once(&before, &[&storm]);
    let pushed = fleet.run(wishes, &[fleet.lab.path("disk")], &format!("docker://{}/m", behind.host())).await;
    assert_eq!(pushed.class(), Class::Done, "{:?}", pushed.report);
    assert!(back.met(|_| true).1 > 20, "{:?}", back.met(|_| true));
    assert_pushed_once(&fleet, &behind, &back);
    fleet.assert_there(&far, "m/");
    // Fewer of them, for the time that it takes.
    before.forget();
    fleet.images.truncate(60);
    let copied = fleet.run(fleet.all(&before.host()), &[], &format!("docker://{}", across.host())).await;
    assert_eq!(copied.class(), Class::Done, "{:?}", copied.report);
    assert_fetched_once(&before, &[&storm, &there]);
    assert_pushed_once(&fleet, &across, &there);
    fleet.assert_there(&other, "");
}

/// Lets so many requests through in each span of time; what comes beyond is told to come again, with or without a time.
fn limited(requests: u32, span: Duration, retry_after: bool) -> impl Fn(&Request) -> Fault + Send + Sync + 'static {
    let state = Mutex::new((Instant::now(), 0));
    move |_| {
        let mut state = state.lock().expect("no panic while it is held");
        if state.0.elapsed() >= span {
            *state = (Instant::now(), 0);
        }
        state.1 += 1;
        match state.1 <= requests {
            true => Fault::none(),
            false if retry_after => Fault::answer(429).retry_after(1),
            false => Fault::answer(429),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_answers_so_many_requests_a_second_is_asked_no_faster() {
    let (Some(mut fleet), Some(far)) = (Fleet::of(12).await, Registry::start()) else { return };
    fleet.lab.settings.retry_times = 3;
    fleet.lab.settings.jobs = 40;
    let second = Duration::from_secs(1);
    let near = Proxy::with(fleet.near.host(), limited(15, second, true));
    let made = fleet.run(fleet.all(&near.host()), &[], &fleet.lab.path("disk")).await;
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    // It had to be told now and then, and not for each request.
    let refused = near.total().requests.saturating_sub(12 * 8);
    assert!(refused <= 12 * 8, "{:?}", near.log());
    // One that names no time, with the retries of oc-mirror.
    fleet.lab.settings.retry_times = 5;
    fleet.lab.settings.retry_delay = Some(Duration::from_millis(150));
    let behind = Proxy::with(far.host(), limited(15, Duration::from_millis(200), false));
    let pushed = fleet.run(fleet.all(&near.host()), &[fleet.lab.path("disk")], &format!("docker://{}/m", behind.host())).await;
    assert_eq!(pushed.class(), Class::Done, "{:?}", pushed.report);
    fleet.assert_there(&far, "m/");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_bears_two_requests_at_a_time_gets_no_more() {
    let Some(mut fleet) = Fleet::of(30).await else { return };
    fleet.lab.settings.retry_times = 3;
    fleet.lab.settings.jobs = 40;
    fleet.lab.settings.retry_delay = Some(Duration::from_millis(50));
    // A request is under way for 20 ms.
    let under_way: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let near = Proxy::with(fleet.near.host(), move |_| {
        let mut under_way = under_way.lock().expect("no panic while it is held");
        under_way.retain(|begun| begun.elapsed() < Duration::from_millis(20));
        if under_way.len() >= 2 {
            return Fault::answer(503);
        }
        under_way.push(Instant::now());
        Fault::none().delay(Duration::from_millis(20))
    });
    let made = fleet.run(fleet.all(&near.host()), &[], &fleet.lab.path("disk")).await;
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_that_never_ends_is_given_up_within_the_retries_with_a_way_out() {
    let Some(mut fleet) = Fleet::of(30).await else { return };
    fleet.lab.settings.retry_times = 2;
    let near = Proxy::with(fleet.near.host(), |_| Fault::answer(429));
    let begun = Instant::now();
    let made = fleet.run(fleet.all(&near.host()), &[], &fleet.lab.path("disk")).await;
    assert_eq!((made.class(), made.set.is_none()), (Class::Failed, true), "{:?}", made.report);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(near.total().requests, 3 * 30, "three times each");
    assert_says(failure(&made, "team/app0"), &["429", &near.host(), "tried 3 times"]);
    assert_hints(failure(&made, "team/app0"), "log in");
    fleet.log_in(&[near.host()]);
    near.set(|request| match request.headers.iter().any(|line| line.to_ascii_lowercase().starts_with("authorization:")) {
        true => Fault::answer(429),
        false => Fault::answer(401).header("WWW-Authenticate", "Basic realm=\"x\""),
    });
    let made = fleet.run(fleet.all(&near.host()), &[], &fleet.lab.path("disk")).await;
    assert_hints(failure(&made, "team/app0"), "try again later, or use fewer --jobs");
}

/// A registry with a token service of its own, whose tokens are good for so many requests each. Counts the tokens.
fn with_tokens(proxy: &Proxy, good_for: u32) -> Arc<Mutex<BTreeMap<String, u32>>> {
    let (host, tokens) = (proxy.host(), Arc::<Mutex<BTreeMap<String, u32>>>::default());
    let known = Arc::clone(&tokens);
    proxy.set(move |request| {
        let mut known = known.lock().expect("no panic while it is held");
        if request.path.starts_with("/token") {
            let token = format!("t{}", known.len());
            known.insert(token.clone(), 0);
            return Fault::answer(200).body(&format!(r#"{{"token":"{token}","expires_in":3600}}"#));
        }
        let sent = request.headers.iter().find_map(|line| line.split_once(": Bearer "));
        match sent.and_then(|(_, token)| known.get_mut(token.trim())) {
            Some(used) if *used < good_for => {
                *used += 1;
                Fault::none()
            }
            _ => Fault::answer(401).header("WWW-Authenticate", &format!("Bearer realm=\"http://{host}/token\",service=\"x\"")),
        }
    });
    tokens
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_end_in_mid_run_are_fetched_again() {
    let (Some(fleet), Some(far)) = (Fleet::of(30).await, Registry::start()) else { return };
    let (near, behind) = (Proxy::before(fleet.near.host()), Proxy::before(far.host()));
    let (tokens, pushing) = (with_tokens(&near, 20), with_tokens(&behind, 20));
    let wishes = fleet.all(&near.host());
    let made = fleet.run(wishes.clone(), &[], &fleet.lab.path("disk")).await;
    assert_eq!(made.class(), Class::Done, "{:?}", made.report);
    let pushed = fleet.run(wishes, &[fleet.lab.path("disk")], &format!("docker://{}/m", behind.host())).await;
    assert_eq!(pushed.class(), Class::Done, "{:?}", pushed.report);
    for (tokens, proxy) in [(tokens, near), (pushing, behind)] {
        let (tokens, requests) = (tokens.lock().expect("no panic while it is held").len(), proxy.total().requests);
        assert!(tokens > 5 && tokens < requests / 3, "{tokens} tokens for {requests} requests");
    }
    fleet.assert_there(&far, "m/");
}

//! [`Fault`]: what a proxy does to one request; and rules that say which requests it does it to.
//!
//! **Invariants.** A fault of no parts lets everything through unchanged.
//!
//! *Not here:* how it is done (`relay`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ocm::image::Digest;

use super::layers::Random;
use super::proxy::{Class, Request};

/// What happens to a request and its answer. Offsets count the bytes of a body, from 0.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Fault {
    pub(super) refused: bool,
    pub(super) answer: Option<u16>,
    pub(super) body: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) delay: Duration,
    pub(super) bytes_per_second: Option<u64>,
    pub(super) cut_response_at: Option<u64>,
    pub(super) cut_upload_at: Option<u64>,
    pub(super) flip_at: Option<u64>,
}

impl Fault {
    /// No fault at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// The connection closes without an answer.
    pub fn refused() -> Self {
        Self { refused: true, ..Self::none() }
    }

    /// This status comes back, with a short JSON body, and the registry hears of nothing.
    pub fn answer(status: u16) -> Self {
        Self { answer: Some(status), ..Self::none() }
    }

    /// The answer in place of the registry's has this body.
    pub fn body(self, text: &str) -> Self {
        Self { body: Some(text.to_owned()), ..self }
    }

    /// The answer says to come again after so many seconds.
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header("Retry-After", &seconds.to_string())
    }

    /// The answer has this header, in place of the one it had (`Docker-Content-Digest`, `Content-Length`, …).
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The request waits so long before anything happens.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Bodies pass no faster than this, each way.
    pub fn rate(self, bytes_per_second: u64) -> Self {
        Self { bytes_per_second: Some(bytes_per_second), ..self }
    }

    /// The connection closes after so many bytes of the answer's body.
    pub fn cut_response_at(self, bytes: u64) -> Self {
        Self { cut_response_at: Some(bytes), ..self }
    }

    /// Both connections close after so many bytes of the request's body.
    pub fn cut_upload_at(self, bytes: u64) -> Self {
        Self { cut_upload_at: Some(bytes), ..self }
    }

    /// One bit of this byte of the answer's body is another one.
    pub fn flip_at(self, offset: u64) -> Self {
        Self { flip_at: Some(offset), ..self }
    }
}

/// `fault` for the request of this method and class that has `before` like it before it.
pub fn nth(method: &str, class: Class, before: usize, fault: Fault) -> impl Fn(&Request) -> Fault + Send + Sync + use<> {
    let method = method.to_owned();
    move |request| match request.method == method && request.class == class && request.before == before {
        true => fault.clone(),
        false => Fault::none(),
    }
}

/// `fault` for every request of this method and class.
pub fn every(method: &str, class: Class, fault: Fault) -> impl Fn(&Request) -> Fault + Send + Sync + use<> {
    let method = method.to_owned();
    move |request| if request.method == method && request.class == class { fault.clone() } else { Fault::none() }
}

/// `fault` for so many of a hundred requests, drawn from the sequence of `seed`.
pub fn sometimes(seed: u64, percent: u64, fault: Fault) -> impl Fn(&Request) -> Fault + Send + Sync + use<> {
    let random = Mutex::new(Random::new(seed));
    move |_| match random.lock().expect("no panic while it is held").below(100) < percent {
        true => fault.clone(),
        false => Fault::none(),
    }
}

/// Faults of every kind that may pass for so many of a hundred requests. What happens to a request depends on what it asks, how often it was made
/// before, and the seed alone: not on the order in which many of them come.
#[derive(Clone)]
pub struct Storm {
    seed: u64,
    percent: u64,
    /// For each request by method and path: how often it was made, and how often it was hurt.
    met: Arc<Mutex<BTreeMap<String, (u64, u64)>>>,
}

impl Storm {
    pub fn new(seed: u64, percent: u64) -> Self {
        Self { seed, percent, met: Arc::default() }
    }

    /// What happens to a request.
    pub fn fault(&self, request: &Request) -> Fault {
        let path = request.path.split(['?']).next().unwrap_or_default();
        // The end of an upload's path is another one in each run.
        let path = path.split_once("/uploads/").map_or(path, |(before, _)| before);
        let key = format!("{} {path}", request.method);
        let mut met = self.met.lock().expect("no panic while it is held");
        let (made, hurt) = met.entry(key.clone()).or_default();
        *made += 1;
        let drawn = Digest::of(format!("{} {key} {made}", self.seed).as_bytes()).bytes().first_chunk().copied();
        let mut random = Random::new(u64::from_le_bytes(drawn.expect("32 bytes")));
        if random.below(100) >= self.percent {
            return Fault::none();
        }
        *hurt += 1;
        match random.below(9) {
            0 => Fault::refused(),
            1 => Fault::none().cut_response_at(100),
            2 => Fault::none().cut_upload_at(100),
            3 => Fault::answer(429).retry_after(random.below(2)),
            4 => Fault::answer(500),
            5 => Fault::answer(502),
            6 => Fault::answer(503),
            7 => Fault::none().rate(20_000),
            _ => Fault::none().delay(Duration::from_millis(100)),
        }
    }

    /// How often requests were made that `wanted` picks by method and path, and how often they were hurt.
    pub fn met(&self, wanted: impl Fn(&str) -> bool) -> (u64, u64) {
        let met = self.met.lock().expect("no panic while it is held");
        met.iter().filter(|(key, _)| wanted(key)).fold((0, 0), |sum, (_, one)| (sum.0 + one.0, sum.1 + one.1))
    }
}

//! [`Limits`]: how much one server bears of its clients.
//!
//! *Not here:* how much it reads at once (`pace`).

use std::time::Duration;

/// How much one server bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections at a time; who comes next waits until one ends.
    pub connections: usize,
    /// The most bytes of the head of a request; at least 8,192.
    pub head_bytes: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the head of a request may take, from the end of the answer before: a connection without requests ends so too.
    pub head: Duration,
    /// How long a client may take nothing of an answer.
    pub stall: Duration,
    /// How long answers that are under way may take when the server is asked to end.
    pub farewell: Duration,
    /// How many reads run at once.
    pub reads: usize,
}

impl Limits {
    /// What is usual, with so many connections and processors.
    #[must_use]
    pub fn usual(connections: usize, processors: usize) -> Self {
        Self {
            connections,
            head_bytes: 64 << 10,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            stall: Duration::from_secs(60),
            farewell: Duration::from_secs(30),
            reads: 2 * processors.max(1),
        }
    }
}

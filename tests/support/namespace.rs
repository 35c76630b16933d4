//! [`Namespace`]: a network of its own, in which nothing answers but what runs in it.
//!
//! **Invariants.** Whatever is sent to another address goes to a wire that nobody listens at, and is counted there. It is gone when
//! its value is dropped, but for processes that still run in it.
//!
//! *Not here:* registries in it (`registry`).

use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::tools::{Tool, run};

/// A network namespace.
pub struct Namespace {
    name: String,
}

/// The wire out of it, both ends of which are in it.
const WIRE: &str = "
    echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
    echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
    ip link set lo up && ip link add out type veth peer name nowhere && ip link set out arp off
    ip addr add 192.0.2.1/24 dev out && ip link set nowhere up && ip link set out up && ip route add default dev out";

impl Namespace {
    /// A new one; says so and answers `None` where nobody may make one.
    pub fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mut ip = Tool::find("ip")?;
        let name = format!("ocm-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        if !ip.args(["netns", "add", &name]).output().is_ok_and(|output| output.status.success()) {
            writeln!(std::io::stderr(), "skipped: no network namespace can be made here").expect("stderr is open in a test");
            return None;
        }
        let namespace = Self { name };
        run(namespace.inside("sh").args(["-e", "-c", WIRE]));
        Some(namespace)
    }

    /// A program that sees this network alone; its arguments follow.
    pub fn inside(&self, program: &str) -> Command {
        let mut ip = Command::new(Tool::path("ip").expect("it made this namespace"));
        ip.args(["netns", "exec", &self.name, program]);
        ip
    }

    /// How many packets were sent to addresses outside.
    pub fn sent_out(&self) -> u64 {
        let table = run(self.inside("cat").arg("/proc/net/dev"));
        let line = table.lines().find_map(|line| line.trim().strip_prefix("out:")).expect("the wire");
        line.split_whitespace().nth(9).and_then(|packets| packets.parse().ok()).expect("a number of packets")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // One that cannot be removed goes with the machine of the test.
        let _gone = Tool::path("ip").map(Command::new).map(|mut ip| ip.args(["netns", "delete", &self.name]).status());
    }
}

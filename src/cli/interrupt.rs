//! Ctrl-C: the first one ends the run, the second one the process.
//!
//! **Invariants.** A run that is interrupted is dropped where it stands; nothing half done is visible, since names are
//! made visible last.

use std::future::Future;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Error, Kind, Result};
use crate::transfer::Class;

/// Runs `work` to its end or to the first SIGINT or SIGTERM. `after` says what the next run does.
pub(super) async fn interruptible<T>(work: impl Future<Output = Result<T>>, after: &str) -> Result<T> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        done = work => done,
        () = signals.any() => {
            signals.end_in_a_hurry();
            Err(Error::new(Kind::Interrupted, "the run was interrupted").hint(after))
        }
    }
}

/// What is over at the first SIGINT or SIGTERM from now on: for work that goes on until somebody stops it.
pub(super) fn stopped() -> Result<impl Future<Output = Result<()>>> {
    let mut signals = Signals::listen()?;
    Ok(async move {
        signals.any().await;
        signals.end_in_a_hurry();
        Ok(())
    })
}

/// The signals by which a person ends something.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|error| Error::io("listening for signals", &error));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Ending the work may take a moment; who is in a hurry asks again.
    fn end_in_a_hurry(mut self) {
        tokio::spawn(async move {
            self.any().await;
            std::process::exit(Class::Interrupted.exit_code().into());
        });
    }
}

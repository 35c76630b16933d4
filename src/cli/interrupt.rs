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
    let stop = stop()?;
    tokio::select! {
        done = work => done,
        () = stop => Err(Error::new(Kind::Interrupted, "the run was interrupted").hint(after)),
    }
}

/// Done at the first SIGINT or SIGTERM. What then ends may take a moment; who is in a hurry asks again, and the process ends.
pub(super) fn stop() -> Result<impl Future<Output = ()>> {
    let listen = |kind| signal(kind).map_err(|error| Error::io("listening for signals", &error));
    let mut signals = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        any(&mut signals).await;
        tokio::spawn(async move {
            any(&mut signals).await;
            std::process::exit(Class::Interrupted.exit_code().into());
        });
    })
}

async fn any(signals: &mut (Signal, Signal)) {
    tokio::select! {
        _ = signals.0.recv() => {}
        _ = signals.1.recv() => {}
    }
}

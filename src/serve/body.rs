//! [`Body`]: what an answer sends: bytes, stretches of a blob, or nothing.
//!
//! **Invariants.** Its length is known before it begins. What cannot be read, or does not check, ends the connection before the last byte:
//! it never looks like a success. One part is read ahead, no more, and only as fast as the client takes them.
//!
//! *Not here:* where bytes come from (`source`), what is counted at the end (`tally`).

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::range::Stretch;
use super::source::Source;
use super::tally::Tally;
use crate::error::{Error, Result};

/// What an answer sends.
pub(super) struct Body {
    steps: VecDeque<Step>,
    flow: Option<Flow>,
    source: Option<Arc<Source>>,
    left_bytes: u64,
    tally: Option<Tally>,
}

/// A piece of a body.
pub(super) enum Step {
    /// These bytes.
    Bytes(Bytes),
    /// A stretch of the blob.
    Stretch(Stretch),
}

/// A stretch that is being sent.
struct Flow {
    source: Arc<Source>,
    at: u64,
    end: u64,
    ready: VecDeque<Bytes>,
    reading: Option<JoinHandle<Result<Vec<Bytes>>>>,
}

impl Body {
    /// Nothing.
    pub(super) fn empty() -> Self {
        Self::of(VecDeque::new(), None)
    }

    /// These bytes.
    pub(super) fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let steps = if bytes.is_empty() { VecDeque::new() } else { VecDeque::from([Step::Bytes(bytes)]) };
        Self::of(steps, None)
    }

    /// These pieces, with the stretches from `source`.
    pub(super) fn pieces(steps: impl IntoIterator<Item = Step>, source: Source) -> Self {
        Self::of(steps.into_iter().collect(), Some(Arc::new(source)))
    }

    fn of(steps: VecDeque<Step>, source: Option<Arc<Source>>) -> Self {
        let left_bytes = steps.iter().map(Step::len).sum();
        Self { steps, flow: None, source, left_bytes, tally: None }
    }

    /// How many bytes are left.
    pub(super) fn len(&self) -> u64 {
        self.left_bytes
    }

    /// This body, with what is told of it in the end.
    pub(super) fn counted(self, tally: Tally) -> Self {
        Self { tally: Some(tally), ..self }
    }

    /// The next bytes.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if let Some(flow) = &mut self.flow {
                match ready!(flow.poll_next(cx)) {
                    Some(bytes) => return Poll::Ready(Some(bytes)),
                    None => self.flow = None,
                }
            }
            match (self.steps.pop_front(), &self.source) {
                (Some(Step::Bytes(bytes)), _) => return Poll::Ready(Some(Ok(bytes))),
                (Some(Step::Stretch(stretch)), Some(source)) => self.flow = Some(Flow::new(source.clone(), stretch)),
                _ => return Poll::Ready(None),
            }
        }
    }
}

impl Step {
    /// How many bytes it is.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stretch(stretch) => stretch.len(),
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let body = self.get_mut();
        let next = match ready!(body.poll_next(cx)) {
            None => return Poll::Ready(None),
            Some(next) => next,
        };
        Poll::Ready(Some(match next {
            Ok(bytes) => {
                body.left_bytes -= bytes.len() as u64;
                body.tally.iter_mut().for_each(|tally| tally.sent(bytes.len() as u64, body.left_bytes == 0));
                Ok(Frame::data(bytes))
            }
            Err(error) => {
                body.tally.iter().for_each(|tally| tally.cut(&error));
                Err(io::Error::other(error))
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}

impl Flow {
    fn new(source: Arc<Source>, stretch: Stretch) -> Self {
        Self { source, at: stretch.start, end: stretch.end, ready: VecDeque::new(), reading: None }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if self.reading.is_none() && self.at < self.end {
                let (source, at, end) = (self.source.clone(), self.at, self.end);
                self.reading = Some(tokio::spawn(async move { source.part(at, end).await }));
            }
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
            let read = ready!(Pin::new(reading).poll(cx));
            self.reading = None;
            match read.unwrap_or_else(|_| Err(Error::failed("a read of this server ended badly"))) {
                Ok(pieces) => {
                    self.at += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
                    self.ready = pieces.into();
                }
                Err(error) => {
                    self.at = self.end;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.reading.iter().for_each(JoinHandle::abort);
    }
}

//! [`Body`]: what an answer sends: bytes, stretches of a blob, or nothing.
//!
//! **Invariants.** Its length is known before it begins. What cannot be read, or does not check, ends the connection before the last byte:
//! it never looks like a success.
//!
//! *Not here:* how a stretch is read (`flow`), what is counted at the end (`tally`).

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::flow::{Flow, flow};
use super::range::Stretch;
use super::source::Source;
use super::tally::Tally;
use crate::error::Result;

/// What an answer sends.
pub(super) struct Body {
    steps: VecDeque<Step>,
    flow: Option<Flow>,
    /// Bytes of the flow that are to be sent next.
    ready: VecDeque<Bytes>,
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
        Self { steps, flow: None, ready: VecDeque::new(), source, left_bytes, tally: None }
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
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            if let Some(flow) = &mut self.flow {
                match ready!(flow.as_mut().poll_next(cx)) {
                    Some(Ok(part)) => {
                        self.ready = part.into();
                        continue;
                    }
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => self.flow = None,
                }
            }
            match (self.steps.pop_front(), &self.source) {
                (Some(Step::Bytes(bytes)), _) => return Poll::Ready(Some(Ok(bytes))),
                (Some(Step::Stretch(stretch)), Some(source)) => self.flow = Some(flow(source.clone(), stretch)),
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

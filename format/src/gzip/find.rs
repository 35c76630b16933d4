//! [`find`]: which encoders wrote a blob, proved by making it again.
//!
//! **Invariants.** A plan is given out only after every byte of the blob was made again from its plain bytes and was
//! equal. What cannot be made again is no error: the blob is stored as it came, and the reason is told. Memory is
//! bounded, whatever the blob inflates to.
//!
//! *Not here:* storing the plain bytes (`writer`).

use std::io::{self, BufRead, BufReader, Read};

use super::Bits;
use super::content::{At, Content};
use super::encoder::Encoder;
use super::header::{self, Begin, Header};
use super::inflate::Inflate;
use super::klauspost::Generation;
use super::member::{Member, TRAILER_BYTES};
use super::prove::Proof;
use crate::codec::length;
use crate::recipe::{Piece, Replay, Restart};

/// Candidates are tried on so many bytes of a member first.
const PROBE_BYTES: u64 = 128 << 10;
/// They are told apart in steps of this many plain bytes.
const PROBE_STEP_BYTES: usize = 32 << 10;
const READ_BYTES: usize = 256 << 10;
/// The time that pgzip writes where nobody says one: that of Go's zero time.
const PGZIP_TIME: [u8; 4] = [0, 9, 0x6e, 0x88];
/// The operating system that encoders in Go write.
const UNKNOWN_SYSTEM: u8 = 255;
/// What inflates to more than this is not replayed unless it is [`MAX_RATIO`] or less of its size, in bytes.
const SUSPECT_BYTES: u64 = 1 << 30;
/// How many times its size a large blob may inflate to.
const MAX_RATIO: u64 = 200;

/// A blob of more members is not replayed: layers that can be entered anywhere have one for each file.
const MAX_MEMBERS: usize = 1 << 16;
/// The headers of all members together, in bytes.
const MAX_HEADER_BYTES: u64 = 4 << 20;
/// A blob of more pieces is not replayed, and of streams no more restarts are looked for. It is some 24 MB of them.
const MAX_RESTARTS: usize = 1 << 20;

/// How a blob is made again from its plain form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its gzip members, in order.
    pub members: Vec<Made>,
    /// How many bytes follow the last member; they are kept as they came.
    pub rest_bytes: u64,
}

/// A member, and what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// How it is made.
    pub member: Member,
    /// Its bytes.
    pub bytes: u64,
    /// Its plain bytes.
    pub plain_bytes: u64,
    /// Where its encoder can begin anew.
    pub restarts: Vec<Restart>,
}

/// What was found out about a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It can be made again.
    Replay(Plan),
    /// It is kept as it came.
    Keep(Reason),
}

/// Why a blob is kept as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It does not begin as gzip does.
    NotGzip,
    /// No encoder that is known here wrote it.
    Unknown,
    /// An encoder was right at first, and not to the end.
    Differs,
    /// It cannot be inflated.
    Broken,
    /// It inflates to far more than layers do.
    Bomb,
    /// It has more members or pieces than are kept track of.
    TooMany,
}

impl Reason {
    /// What a person reads.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NotGzip => "not gzip",
            Self::Unknown => "written by an encoder that is not known",
            Self::Differs => "an encoder is right for most of it, not for all",
            Self::Broken => "it cannot be inflated",
            Self::Bomb => "it inflates to more than 200 times its size",
            Self::TooMany => "it has more gzip members than are kept track of",
        }
    }
}

impl Plan {
    /// The members as pieces of a recipe.
    #[must_use]
    pub fn pieces(&self) -> Vec<Piece> {
        let mut plain_offset = 0u64;
        let replay = |made: &Made| {
            let replay = Replay {
                bytes: made.bytes,
                encoder: made.member.encoder.id(),
                parameters: made.member.parameters(),
                plain_offset,
                plain_bytes: made.plain_bytes,
                restarts: made.restarts.clone(),
            };
            plain_offset = plain_offset.saturating_add(made.plain_bytes);
            Piece::Replay(replay)
        };
        self.members.iter().map(replay).collect()
    }
}

/// Finds out how a blob can be made again. An error is one of reading it.
pub fn find(content: &dyn Content) -> io::Result<Verdict> {
    let mut plan = Plan { members: Vec::new(), rest_bytes: 0 };
    let (mut offset, mut inflated, mut last, mut restarts, mut header_bytes) = (0u64, 0u64, None, 0usize, 0u64);
    while offset < content.bytes() {
        let begin = header::read(&mut At::new(content, offset))?;
        let Begin::Member(header) = begin else {
            if plan.members.is_empty() {
                return Ok(Verdict::Keep(Reason::NotGzip));
            }
            plan.rest_bytes = content.bytes().saturating_sub(offset);
            break;
        };
        header_bytes = header_bytes.saturating_add(length(header.bytes()));
        if plan.members.len() == MAX_MEMBERS || header_bytes > MAX_HEADER_BYTES {
            return Ok(Verdict::Keep(Reason::TooMany));
        }
        let search = Search { content, offset, header, inflated, max_restarts: MAX_RESTARTS.saturating_sub(restarts) };
        let made = match search.run(last)? {
            Ok(made) => made,
            Err(reason) => return Ok(Verdict::Keep(reason)),
        };
        offset = offset.saturating_add(made.bytes);
        inflated = inflated.saturating_add(made.plain_bytes);
        last = Some(made.member.encoder);
        restarts = restarts.saturating_add(made.restarts.len());
        plan.members.push(made);
        if restarts > MAX_RESTARTS {
            return Ok(Verdict::Keep(Reason::TooMany));
        }
    }
    Ok(if plan.members.is_empty() { Verdict::Keep(Reason::NotGzip) } else { Verdict::Replay(plan) })
}

/// The search for the encoder of one member.
struct Search<'a> {
    content: &'a dyn Content,
    /// Where the member begins.
    offset: u64,
    header: Header,
    /// The plain bytes of the members before.
    inflated: u64,
    /// How many restarts are wanted.
    max_restarts: usize,
}

impl Search<'_> {
    /// Tries all candidates; the encoder of the member before goes first.
    fn run(&self, last: Option<Encoder>) -> io::Result<Result<Made, Reason>> {
        let Some(probe) = self.probe()? else { return Ok(Err(Reason::Broken)) };
        let mut reason = Reason::Unknown;
        for encoder in last.into_iter().chain(candidates(&self.header)).filter(|encoder| probe.allows(*encoder)) {
            match self.make(encoder)? {
                Err(Reason::Unknown) => reason = Reason::Differs,
                made => return Ok(made),
            }
        }
        Ok(Err(reason))
    }

    fn stream_offset(&self) -> u64 {
        self.offset.saturating_add(length(self.header.bytes()))
    }

    /// The beginning of the stream, and what it inflates to; `None` if it does not.
    fn probe(&self) -> io::Result<Option<Probe>> {
        let mut stream = Vec::new();
        At::new(self.content, self.stream_offset()).take(PROBE_BYTES).read_to_end(&mut stream)?;
        let is_cut = length(&stream) == PROBE_BYTES;
        let (mut from, mut inflate, mut plain) = (stream.as_slice(), Inflate::default(), Vec::new());
        while length(&plain) < PROBE_BYTES.saturating_mul(8) {
            match inflate.next(&mut from) {
                Ok([]) => break,
                Ok(more) => plain.extend_from_slice(more),
                Err(error) if is_cut && error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(Probe { stream, plain }))
    }

    /// Makes the whole member again by `encoder` and compares every byte; [`Reason::Unknown`] where they differ.
    fn make(&self, encoder: Encoder) -> io::Result<Result<Made, Reason>> {
        let mut from = BufReader::with_capacity(READ_BYTES, At::new(self.content, self.stream_offset()));
        let (mut inflate, mut proof) =
            (Inflate::default(), Proof::new(self.content, self.offset, encoder, &self.header, self.max_restarts));
        loop {
            let is_same = match inflate.next(&mut from) {
                Ok([]) => break,
                Ok(plain) => proof.write(plain)?,
                // What can be read and not inflated is broken; what cannot be read is an error.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof || from.fill_buf().is_ok() => return Ok(Err(Reason::Broken)),
                Err(error) => return Err(error),
            };
            if !is_same {
                return Ok(Err(Reason::Unknown));
            }
            if is_bomb(self.inflated.saturating_add(proof.plain_bytes()), self.content.bytes()) {
                return Ok(Err(Reason::Bomb));
            }
        }
        let mut trailer = [0; TRAILER_BYTES];
        if from.read_exact(&mut trailer).is_err() {
            return Ok(Err(Reason::Broken));
        }
        let bytes = length(self.header.bytes()).saturating_add(inflate.taken_bytes()).saturating_add(length(&trailer));
        if !proof.finish(trailer, bytes)? {
            return Ok(Err(Reason::Unknown));
        }
        let member = Member { encoder, header: self.header.clone(), trailer };
        Ok(Ok(Made { member, bytes, plain_bytes: proof.plain_bytes(), restarts: proof.restarts() }))
    }
}

fn is_bomb(plain_bytes: u64, bytes: u64) -> bool {
    plain_bytes > SUSPECT_BYTES && plain_bytes / MAX_RATIO > bytes
}

/// The beginning of a deflate stream, and what it inflates to.
struct Probe {
    stream: Vec<u8>,
    plain: Vec<u8>,
}

impl Probe {
    /// Whether an encoder makes these bytes, as far as it makes any before its input ends.
    fn allows(&self, encoder: Encoder) -> bool {
        let (mut deflate, most) = encoder.probing();
        let plain = self.plain.get(..most).unwrap_or(&self.plain);
        let (mut out, mut made) = (Bits::default(), Vec::new());
        plain.chunks(PROBE_STEP_BYTES).all(|part| {
            deflate.write(part, &mut out);
            made.extend(out.take());
            let common = made.len().min(self.stream.len());
            made.get(..common) == self.stream.get(..common)
        })
    }
}

/// The encoders that may have written a member with this header, the likeliest first. All of them are tried in the end:
/// tools change headers.
fn candidates(header: &Header) -> impl Iterator<Item = Encoder> + use<> {
    // From 2023 to 2025 all tools had K8; of the others, newer ones are met more often.
    let generations = || [Generation::K8].into_iter().chain(Generation::ALL.into_iter().rev().filter(|one| *one != Generation::K8));
    let pgzip = [1 << 20, 256 << 10]
        .into_iter()
        .flat_map(|block_bytes| generations().map(move |generation| Encoder::Pgzip { generation, block_bytes }));
    let klauspost = generations().map(|generation| Encoder::Klauspost { generation });
    let go = [6, 1, 9, 5, 4, 7, 8].into_iter().map(|level| Encoder::Go { level });
    let levels = [6, 9, 1, 5, 4, 3, 2, 7, 8];
    let zlib = [8, 9].into_iter().flat_map(move |memory_level| levels.map(|level| Encoder::Zlib { level, memory_level }));
    let gnu = levels.into_iter().map(|level| Encoder::Gnu { level });
    let pigz = [6, 9, 1].into_iter().map(|level| Encoder::Pigz { level });
    let (go, other): (Vec<Encoder>, Vec<Encoder>) = (go.chain(klauspost).collect(), zlib.chain(gnu).chain(pigz).collect());
    let pgzip: Vec<Encoder> = pgzip.collect();
    let order = match (header.time(), header.system()) {
        (PGZIP_TIME, _) => [pgzip, go, other],
        (_, UNKNOWN_SYSTEM) => [go, pgzip, other],
        _ => [other, go, pgzip],
    };
    order.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_inflates_to_far_more_than_layers_do_is_a_bomb() {
        for (plain_bytes, bytes, expected) in [
            (SUSPECT_BYTES, 1, false),
            (SUSPECT_BYTES + 1, 1, true),
            (SUSPECT_BYTES + MAX_RATIO, SUSPECT_BYTES / MAX_RATIO, true),
            (SUSPECT_BYTES + MAX_RATIO, SUSPECT_BYTES / MAX_RATIO + 1, false),
            (u64::MAX, u64::MAX, false),
        ] {
            assert_eq!(is_bomb(plain_bytes, bytes), expected, "{plain_bytes} from {bytes}");
        }
    }
}

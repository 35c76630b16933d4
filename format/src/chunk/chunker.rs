//! [`Chunker`]: walks a blob as it streams by and says where its chunks end.
//!
//! **Invariants.** Every byte that comes in is handed to exactly one of [`Content`] and [`Skeleton`], in order, and one
//! of the two is empty at any time. Each step either takes bytes or moves on to the next state.
//!
//! *Not here:* the reading of a header (`header`), of pax records (`pax`), and the cutting itself (`content`, `skeleton`).

use super::content::Content;
use super::header::{self, BLOCK_BYTES, Block, Kind};
use super::pax::Records;
use super::skeleton::Skeleton;
use super::{Class, Emit, MAX_METADATA, Shape};

/// Cuts one blob into chunks while it streams by.
///
/// ```
/// use ocm_format::chunk::{Chunker, Class, Shape};
/// let mut chunks = Vec::new();
/// let mut keep = |class: Class, bytes: &[u8]| -> Result<(), std::convert::Infallible> {
///     chunks.push((class, bytes.to_vec()));
///     Ok(())
/// };
/// let mut chunker = Chunker::new(Shape::Plain);
/// chunker.push(b"hello, ", &mut keep)?;
/// chunker.push(b"world", &mut keep)?;
/// chunker.finish(&mut keep)?;
/// assert_eq!(chunks, [(Class::Content, b"hello, world".to_vec())]);
/// # Ok::<(), std::convert::Infallible>(())
/// ```
pub struct Chunker {
    state: State,
    /// The header that is coming in, when it is split over pushes.
    block: Vec<u8>,
    entry: Metadata,
    skeleton: Skeleton,
    content: Content,
}

/// What the next byte is part of. All counts are bytes that are still to come.
#[derive(Clone, Copy)]
enum State {
    Header,
    /// A metadata body with its padding.
    Metadata {
        left: u64,
    },
    /// File data, and the padding after it.
    File {
        left: u64,
        padding: u64,
    },
    Padding {
        left: u64,
    },
    Plain,
}

/// What came before the header of an entry and belongs to it.
#[derive(Default)]
struct Metadata {
    /// The sizes of all bodies.
    bytes: u64,
    /// The pax body that is coming in.
    records: Option<Records>,
    /// The size that pax records gave; it counts instead of that in the header.
    size: Option<u64>,
}

impl Chunker {
    /// A chunker for one blob.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let state = match shape {
            Shape::Tar => State::Header,
            Shape::Plain => State::Plain,
        };
        Self { state, block: Vec::new(), entry: Metadata::default(), skeleton: Skeleton::default(), content: Content::default() }
    }

    /// Takes the next bytes of the blob, and calls `emit` with the class and the bytes of each chunk that is whole now.
    ///
    /// # Errors
    /// The first error of `emit`. The chunker is of no use after it.
    pub fn push<E>(&mut self, bytes: &[u8], emit: &mut impl FnMut(Class, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.state {
                State::Header => self.take_header(rest, emit)?,
                State::Metadata { left } => self.take_metadata(rest, left, emit)?,
                State::File { left, padding } => self.take_file(rest, left, padding, emit)?,
                State::Padding { left } => self.take_padding(rest, left, emit)?,
                State::Plain => self.take_plain(rest, emit)?,
            };
        }
        Ok(())
    }

    /// Ends the blob: calls `emit` for what was held back. A tar may end anywhere.
    ///
    /// # Errors
    /// The first error of `emit`.
    pub fn finish<E>(mut self, emit: &mut impl FnMut(Class, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let block = std::mem::take(&mut self.block);
        if header::is_zero(&block) {
            self.skeleton.push(&block, emit)?;
        } else {
            self.begin_plain(emit)?;
            self.content.push(&block, emit)?;
        }
        self.skeleton.flush(emit)?;
        self.content.finish(emit)
    }

    fn take_header<'a, E>(&mut self, bytes: &'a [u8], emit: &mut impl Emit<E>) -> Result<&'a [u8], E> {
        let missing = BLOCK_BYTES.saturating_sub(self.block.len());
        let (now, rest) = bytes.split_at(missing.min(bytes.len()));
        self.block.extend_from_slice(now);
        if let Some(block) = self.block.first_chunk().copied() {
            self.block.clear();
            self.begin_entry(&block, emit)?;
        }
        Ok(rest)
    }

    fn take_metadata<'a, E>(&mut self, bytes: &'a [u8], left: u64, emit: &mut impl Emit<E>) -> Result<&'a [u8], E> {
        let (now, rest, left) = split(bytes, left);
        self.skeleton.push(now, emit)?;
        if let Some(records) = &mut self.entry.records {
            records.push(now);
        }
        self.state = State::Metadata { left };
        if left == 0 {
            self.end_metadata(emit)?;
        }
        Ok(rest)
    }

    fn take_file<'a, E>(&mut self, bytes: &'a [u8], left: u64, padding: u64, emit: &mut impl Emit<E>) -> Result<&'a [u8], E> {
        let (now, rest, left) = split(bytes, left);
        self.content.push(now, emit)?;
        self.state = State::File { left, padding };
        if left == 0 {
            self.begin_padding(padding);
        }
        Ok(rest)
    }

    fn take_padding<'a, E>(&mut self, bytes: &'a [u8], left: u64, emit: &mut impl Emit<E>) -> Result<&'a [u8], E> {
        let (now, rest, left) = split(bytes, left);
        self.skeleton.push(now, emit)?;
        self.begin_padding(left);
        Ok(rest)
    }

    fn take_plain<'a, E>(&mut self, bytes: &'a [u8], emit: &mut impl Emit<E>) -> Result<&'a [u8], E> {
        self.content.push(bytes, emit)?;
        Ok(&[])
    }

    /// Decides what follows the block that stands where a header belongs.
    fn begin_entry<E>(&mut self, block: &Block, emit: &mut impl Emit<E>) -> Result<(), E> {
        if header::is_zero(block) {
            self.skeleton.push(block, emit)?;
            self.end_entry();
            return Ok(());
        }
        let Some((kind, size)) = header::read(block).filter(|(kind, size)| self.fits(*kind, *size)) else {
            self.begin_plain(emit)?;
            return self.content.push(block, emit);
        };
        self.skeleton.push(block, emit)?;
        match kind {
            Kind::Bare => self.end_entry(),
            Kind::Data => self.begin_file(self.entry.size.unwrap_or(size), emit)?,
            Kind::Pax { global } => self.begin_metadata(size, Some(Records::new(size, global))),
            Kind::LongName => self.begin_metadata(size, None),
        }
        Ok(())
    }

    /// Whether the metadata of this entry stays within its bound.
    fn fits(&self, kind: Kind, size: u64) -> bool {
        match kind {
            Kind::Pax { .. } | Kind::LongName => self.entry.bytes.saturating_add(size) <= MAX_METADATA,
            Kind::Data | Kind::Bare => true,
        }
    }

    fn begin_metadata(&mut self, size: u64, records: Option<Records>) {
        if size > 0 {
            self.entry.bytes = self.entry.bytes.saturating_add(size);
            self.entry.records = records;
            self.state = State::Metadata { left: size.saturating_add(header::padding(size)) };
        }
    }

    /// Takes up the size that the records gave. With records that cannot be read, nobody knows what follows them.
    fn end_metadata<E>(&mut self, emit: &mut impl Emit<E>) -> Result<(), E> {
        self.state = State::Header;
        match self.entry.records.take().as_ref().map(Records::size) {
            None => Ok(()),
            Some(Ok(size)) => {
                self.entry.size = size.or(self.entry.size);
                Ok(())
            }
            Some(Err(_)) => self.begin_plain(emit),
        }
    }

    fn begin_file<E>(&mut self, size: u64, emit: &mut impl Emit<E>) -> Result<(), E> {
        if size == 0 {
            self.end_entry();
            return Ok(());
        }
        self.skeleton.flush(emit)?;
        self.content.begin_file(size);
        self.state = State::File { left: size, padding: header::padding(size) };
        Ok(())
    }

    fn begin_padding(&mut self, left: u64) {
        match left {
            0 => self.end_entry(),
            left => self.state = State::Padding { left },
        }
    }

    fn end_entry(&mut self) {
        self.entry = Metadata::default();
        self.skeleton.mark();
        self.state = State::Header;
    }

    fn begin_plain<E>(&mut self, emit: &mut impl Emit<E>) -> Result<(), E> {
        self.state = State::Plain;
        self.content.begin_plain();
        self.skeleton.flush(emit)
    }
}

/// The part of `bytes` that lies within the next `left` bytes, the rest, and how many are left after it.
fn split(bytes: &[u8], left: u64) -> (&[u8], &[u8], u64) {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    let (now, rest) = bytes.split_at(length);
    (now, rest, left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX)))
}

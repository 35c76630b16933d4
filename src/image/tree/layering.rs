//! [`Layering`]: one layer, read as a tar, laid over those below it.
//!
//! **Invariants.** Whiteouts (OCI image-spec, "Whiteouts") hide lower layers alone, wherever they stand in the tar. Content is hashed while it
//! streams, and not kept.
//!
//! *Not here:* decompressing, and the order of layers; whoever feeds this knows them.

use ocm_format::digest::Hasher;
use ocm_format::entries::{Entries, Entry, Kind, Malformed, Part};

use super::{Content, Node, Place, Tree, Unread, What, join, shown};
use crate::error::{Error, Result};
use crate::image::Digest;

/// What the name of a whiteout begins with.
const WHITEOUT: &[u8] = b".wh.";
/// The whiteout that hides everything in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Other names that begin so are notes of a union file system, and no part of the image.
const NOTES: &[u8] = b".wh..wh.";

/// A layer that is being laid over others.
pub struct Layering<C = Digest> {
    entries: Entries,
    over: Over<C>,
}

/// The tree, and the file that is being read.
struct Over<C> {
    tree: Tree<C>,
    layer: u32,
    open: Option<Open>,
}

/// A file whose content is read before it counts.
struct Open {
    place: Vec<u8>,
    entry: Entry,
    bytes: u64,
    left: u64,
    hasher: Hasher,
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::failed(format!("it is no tar that can be read: {malformed}"))
    }
}

impl<C: Content> Layering<C> {
    pub(super) fn above(tree: Tree<C>) -> Self {
        let layer = tree.layers;
        Self { entries: Entries::default(), over: Over { tree, layer, open: None } }
    }

    /// Takes the next bytes of the uncompressed layer.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let over = &mut self.over;
        self.entries.push(bytes, &mut |part| match part {
            Part::Entry(entry) => over.entry(entry),
            Part::Content(bytes) => over.content(bytes),
        })
    }

    /// The tree with this layer in it, which ends here.
    pub fn finish(self) -> Result<Tree<C>> {
        self.entries.finish()?;
        Ok(Tree { layers: self.over.layer + 1, ..self.over.tree })
    }
}

impl Tree<Unread> {
    /// This tree with a layer of `bytes` uncompressed bytes above it. Its headers alone are read: `read` gives at least one and at most
    /// as many bytes as are wanted, from an offset on.
    pub fn over_headers<B: AsRef<[u8]>>(self, bytes: u64, mut read: impl FnMut(u64, u64) -> Result<B>) -> Result<Self> {
        let (mut layer, mut at) = (self.layer(), 0);
        while at < bytes {
            let idle = layer.entries.idle_bytes().min(bytes - at);
            layer.entries.skip(idle);
            at += idle;
            let wanted = layer.entries.wanted_bytes().min(bytes - at);
            if wanted > 0 {
                let part = read(at, wanted)?;
                layer.push(part.as_ref())?;
                at += part.as_ref().len() as u64;
            }
        }
        layer.finish()
    }
}

impl<C: Content> Over<C> {
    fn entry(&mut self, entry: Entry) -> Result<()> {
        self.open = None;
        let mut place = self.tree.place(&entry.path)?;
        let start = place.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        if place[start..].starts_with(WHITEOUT) {
            let name = place.split_off(start);
            place.pop();
            return self.white_out(place, &name);
        }
        let what = match &entry.kind {
            &Kind::File(bytes) => match C::before(bytes) {
                Some(content) => What::File(bytes, content),
                None => {
                    self.open = Some(Open { place, entry, bytes, left: bytes, hasher: Hasher::sha256() });
                    return Ok(());
                }
            },
            Kind::HardLink(target) => return self.tree.put(place, self.linked(&entry.path, target)?),
            Kind::Symlink(target) => What::Symlink(target.clone().into()),
            Kind::Directory => What::Directory,
            &Kind::CharacterDevice(major, minor) => What::CharacterDevice(major, minor),
            &Kind::BlockDevice(major, minor) => What::BlockDevice(major, minor),
            Kind::Fifo => What::Fifo,
        };
        self.put(place, entry, what)
    }

    fn put(&mut self, place: Vec<u8>, entry: Entry, what: What<C>) -> Result<()> {
        let node = Node {
            what,
            mode: entry.mode,
            owner: entry.owner,
            modified: entry.modified,
            attributes: (!entry.attributes.is_empty()).then(|| Box::new(entry.attributes)),
            layer: self.layer,
            entry: Some(Place { layer: self.layer, at: entry.at }),
        };
        self.tree.put(place, node)
    }

    /// Content of the file that was begun last, or of nothing that counts.
    fn content(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.hasher.update(bytes);
        open.left = open.left.saturating_sub(bytes.len() as u64);
        if open.left > 0 {
            return Ok(());
        }
        let Some(Open { place, entry, bytes, hasher, .. }) = self.open.take() else { return Ok(()) };
        self.put(place, entry, What::File(bytes, C::read(hasher.finish())))
    }

    /// What a further name of a file stands for: all that its first name does.
    fn linked(&self, path: &[u8], target: &[u8]) -> Result<Node<C>> {
        let there = self.tree.nodes.get(self.tree.place(target)?.as_slice()).filter(|node| node.what != What::Directory);
        let there =
            there.ok_or_else(|| Error::failed(format!("{}: it is a link to {}, which is no file there", shown(path), shown(target))))?;
        Ok(Node { layer: self.layer, ..there.clone() })
    }

    /// Hides what a whiteout in the directory `place` says.
    fn white_out(&mut self, mut place: Vec<u8>, name: &[u8]) -> Result<()> {
        match &name[WHITEOUT.len()..] {
            _ if name == OPAQUE => self.tree.hide_below(&place, self.layer),
            _ if name.starts_with(NOTES) => Ok(()),
            b"" | b"." | b".." => {
                join(&mut place, name);
                Err(Error::failed(format!("{}: it hides nothing that can be there", shown(&place))))
            }
            hidden => {
                join(&mut place, hidden);
                self.tree.hide(&place, self.layer)
            }
        }
    }
}

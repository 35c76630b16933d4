//! A volume taken to its parts: whatever is changed in one of them, all hashes hold again when it is written. What a hostile author
//! can make, and a version that is still to come.

use std::path::{Path, PathBuf};

use ocm_format::digest::Digest;
use ocm_format::index::table;
use ocm_format::layout::{self, FIXED_BYTES, FLAG_LAST, FLAG_SET, Footer, Id};
use ocm_format::set::json;
use ocm_format::tar;
use serde_json::Value;

use super::tables::{self, Table};

/// The only volume of a set, before it is sealed.
pub(crate) struct Forged {
    /// The content of `OCM.VOLUME`; its checksum is made anew.
    pub(crate) header: [u8; FIXED_BYTES],
    /// All members before the index, as they stand in the file.
    pub(crate) members: Vec<u8>,
    pub(crate) tables: Vec<Table>,
    pub(crate) stream: u64,
    /// SET.json, but for what it says of this volume.
    pub(crate) set: Value,
    pub(crate) index_json: Vec<u8>,
    pub(crate) time: u64,
    /// What becomes of the bytes of SET.json, of the members after the index, and of the footer before its checksum.
    pub(crate) on_set: fn(&mut Vec<u8>),
    pub(crate) on_tail: fn(&mut Vec<u8>),
    pub(crate) on_footer: fn(&mut Footer),
}

impl Forged {
    /// The table with this id.
    pub(crate) fn table(&mut self, id: u64) -> &mut Table {
        self.tables.iter_mut().find(|table| table.id == id).expect("a table")
    }

    /// Changes the header, and what MEMBERS says of it.
    pub(crate) fn change_header(&mut self, change: impl FnOnce(&mut [u8; FIXED_BYTES])) {
        let before = self.header;
        change(&mut self.header);
        let sum = crc32c::crc32c(&self.header[..FIXED_BYTES - 4]);
        self.header[FIXED_BYTES - 4..].copy_from_slice(&sum.to_le_bytes());
        self.members[512..1024].copy_from_slice(&self.header);
        let after = Digest::of(&self.header);
        swap(&mut self.table(table::MEMBERS).blocks[0].plain, Digest::of(&before).bytes(), after.bytes());
    }

    fn id(&self) -> Id {
        Id(self.header[32..48].try_into().expect("16 bytes"))
    }

    /// Where the tar header of the member `name` is.
    pub(crate) fn member(&self, name: &str) -> usize {
        let is_there = |block: &&[u8]| block.starts_with(name.as_bytes()) && block[257..].starts_with(b"ustar");
        self.members.chunks(512).position(|block| is_there(&block)).expect("a member") * 512
    }

    /// Seals the volume and writes it into `folder`; gives its file, and the set root.
    pub(crate) fn write(&self, folder: &Path) -> (PathBuf, Digest) {
        let index = tables::close(&self.tables);
        let mut out = self.members.clone();
        let index_offset = out.len() as u64 + 512;
        tar::put_member(&mut out, "OCM.INDEX", &index.bytes, self.time).expect("a member");
        let tail_begin = index_offset as usize + index.bytes.len();
        let root = layout::volume_root(&self.header, &index.directory, self.stream);
        let before = out.len() as u64;
        // The size of the file stands in SET.json, which is padded: a second round settles it.
        let size = before + self.documents(&self.manifest(1_000_000, root)).len() as u64 + 2048;
        let set = self.manifest(size, root);
        out.extend(self.documents(&set));
        let set_json = tar::header("SET.json", set.len() as u64, self.time).expect("a header");
        let set_json_offset = before + found(&out[before as usize..], &set_json) as u64 + 512;
        let mut footer = Footer {
            flags: FLAG_LAST | FLAG_SET,
            set: self.id(),
            number: 1,
            file_bytes: out.len() as u64 + 2048,
            index_offset,
            index_bytes: index.bytes.len() as u64,
            directory_bytes: index.directory_bytes,
            directory: index.directory,
            set_json_offset,
            set_json_bytes: set.len() as u64,
            set_json: Digest::of(&set),
            tail: Digest::of(&out[tail_begin..]),
            stream_bytes: self.stream,
            root,
        };
        (self.on_footer)(&mut footer);
        tar::put_member(&mut out, "OCM.FOOTER", &footer.encode(), self.time).expect("a member");
        out.extend([0; 1024]);
        let path = folder.join(format!("set-{}", self.id()));
        std::fs::write(&path, out).expect("written");
        (path, Digest::of(&set))
    }

    fn manifest(&self, bytes: u64, root: Digest) -> Vec<u8> {
        let mut set = self.set.clone();
        set["volumes"][0] = serde_json::json!({"n": 1, "size": bytes, "root": root});
        let mut bytes = json::to_bytes(&set).expect("canonical");
        (self.on_set)(&mut bytes);
        bytes
    }

    fn documents(&self, set: &[u8]) -> Vec<u8> {
        let mut documents = Vec::new();
        for (name, content) in [("oci-layout", &b"{}"[..]), ("index.json", &self.index_json), ("SET.json", set)] {
            tar::put_member(&mut documents, name, content, self.time).expect("a member");
        }
        (self.on_tail)(&mut documents);
        documents
    }
}

/// Puts `new` in the place of `old`, which stands there once and is as long.
pub(crate) fn swap(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at = found(bytes, old);
    bytes[at..at + old.len()].copy_from_slice(new);
}

fn found(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).position(|window| window == part).expect("it is there")
}

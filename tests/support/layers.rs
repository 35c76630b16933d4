//! [`Layer`]: generated layers, the same bytes for the same seed.
//!
//! **Invariants.** A tree mixes text that compresses well, bytes that do not compress, small and large files, links
//! and an empty file, as real layers do.
//!
//! *Not here:* the images that layers stand in (`images`).

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use ocm::image::Digest;
use tar::{Builder, EntryType, Header};

/// The time of everything that is generated: 2023-11-14T22:13:20Z.
pub const TIME: u64 = 1_700_000_000;

const WORDS: [&str; 16] =
    ["the", "quick", "layer", "carries", "files", "over", "a", "gap", "of", "air", "library", "version", "config", "share", "doc", "usr"];

/// A random generator of fixed sequence (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Bytes that do not compress.
    pub fn noise(&mut self, size_bytes: usize) -> Vec<u8> {
        let mut bytes = vec![0; size_bytes];
        for eight in bytes.chunks_mut(8) {
            eight.copy_from_slice(&self.next().to_le_bytes()[..eight.len()]);
        }
        bytes
    }

    /// Text that compresses well.
    pub fn text(&mut self, size_bytes: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(size_bytes + 16);
        while bytes.len() < size_bytes {
            let word = WORDS[self.below(WORDS.len() as u64) as usize];
            bytes.extend_from_slice(word.as_bytes());
            bytes.push(if self.below(12) == 0 { b'\n' } else { b' ' });
        }
        bytes.truncate(size_bytes);
        bytes
    }
}

/// How the tar of a layer is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    Tar,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

/// One layer: its uncompressed form, how it is stored, and whether registries hold it.
#[derive(Debug, Clone)]
pub struct Layer {
    plain: Vec<u8>,
    packing: Packing,
    foreign: bool,
    media_type: Option<String>,
}

impl Layer {
    /// A tar of generated files of about `size_bytes`, stored as gzip.
    pub fn tree(seed: u64, size_bytes: usize) -> Self {
        let mut random = Random::new(seed);
        let mut files = vec![(format!("tree-{seed}/empty"), Vec::new())];
        let mut left = size_bytes;
        while left > 0 {
            let size = match random.below(8) {
                0 => left.div_ceil(2).min(8 << 20),
                _ => left.min(random.below(48 << 10) as usize + 1),
            };
            let content = if random.below(2) == 0 { random.noise(size) } else { random.text(size) };
            files.push((format!("tree-{seed}/d{}/f{}", random.below(9), files.len()), content));
            left -= size;
        }
        Self::files(&files)
    }

    /// A tar of these files (path, content) with a symbolic and a hard link to the first one, stored as gzip.
    pub fn files(files: &[(String, Vec<u8>)]) -> Self {
        let mut tar = Builder::new(Vec::new());
        for (path, content) in files {
            append(&mut tar, EntryType::Regular, path, None, content);
        }
        if let Some((first, _)) = files.first() {
            append(&mut tar, EntryType::Symlink, &format!("{first}.symbolic"), Some(first), &[]);
            append(&mut tar, EntryType::Link, &format!("{first}.hard"), Some(first), &[]);
        }
        Self::bytes(tar.into_inner().expect("a vector takes all")).gzip()
    }

    /// A layer of any bytes at all, tar or not, stored as they are.
    pub fn bytes(plain: impl Into<Vec<u8>>) -> Self {
        Self { plain: plain.into(), packing: Packing::Tar, foreign: false, media_type: None }
    }

    /// Stored uncompressed.
    #[must_use]
    pub fn tar(self) -> Self {
        Self { packing: Packing::Tar, ..self }
    }

    /// Stored as gzip.
    #[must_use]
    pub fn gzip(self) -> Self {
        Self { packing: Packing::Gzip, ..self }
    }

    /// Stored as zstd.
    #[must_use]
    pub fn zstd(self) -> Self {
        Self { packing: Packing::Zstd, ..self }
    }

    /// One that registries do not hold: the image has its descriptor with a URL, and nobody has its bytes.
    #[must_use]
    pub fn foreign(self) -> Self {
        Self { foreign: true, ..self }
    }

    /// Announced as this media type, whatever it is.
    #[must_use]
    pub fn media_type(self, media_type: &str) -> Self {
        Self { media_type: Some(media_type.to_owned()), ..self }
    }

    /// The uncompressed bytes.
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// The digest of the uncompressed bytes.
    pub fn diff_id(&self) -> Digest {
        Digest::of(&self.plain)
    }

    /// Whether registries do not hold it.
    pub fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// The bytes as they are stored.
    pub fn stored(&self) -> Vec<u8> {
        match self.packing {
            Packing::Tar => self.plain.clone(),
            Packing::Gzip => gzip(&self.plain),
            Packing::Zstd => zstd::encode_all(self.plain.as_slice(), 3).expect("memory to memory"),
        }
    }

    /// The media type in an OCI or a Docker image.
    pub fn type_in(&self, docker: bool) -> String {
        if let Some(media_type) = &self.media_type {
            return media_type.clone();
        }
        let packed = match (self.packing, docker) {
            (Packing::Tar, _) => "",
            (Packing::Gzip, false) => "+gzip",
            (Packing::Gzip, true) => ".gzip",
            (Packing::Zstd, _) => "+zstd",
        };
        let stem = match (docker, self.foreign) {
            (false, false) => "application/vnd.oci.image.layer.v1.tar",
            (false, true) => "application/vnd.oci.image.layer.nondistributable.v1.tar",
            (true, false) => "application/vnd.docker.image.rootfs.diff.tar",
            (true, true) => "application/vnd.docker.image.rootfs.foreign.diff.tar",
        };
        format!("{stem}{packed}")
    }
}

/// `plain` as gzip, with no time in its header.
pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(6));
    encoder.write_all(plain).expect("memory to memory");
    encoder.finish().expect("memory to memory")
}

fn append(tar: &mut Builder<Vec<u8>>, kind: EntryType, path: &str, link: Option<&str>, content: &[u8]) {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_mtime(TIME);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(content.len() as u64);
    match link {
        Some(link) => tar.append_link(&mut header, path, link),
        None => tar.append_data(&mut header, path, content),
    }
    .expect("a vector takes all");
}

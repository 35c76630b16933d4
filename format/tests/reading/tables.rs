//! `OCM.INDEX` taken to its tables and put together again, with what they hold and what they say of it changed.

use ocm_format::codec::{Cursor, put_digest, put_uvarint};
use ocm_format::digest::Digest;
use ocm_format::frame;
use ocm_format::index::table;
use ocm_format::index::write::Index;

/// A table of an index.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) id: u64,
    pub(crate) flags: u64,
    pub(crate) rows: u64,
    /// How many blocks it says it has, if not as many as there are.
    pub(crate) count: Option<u64>,
    pub(crate) blocks: Vec<Block>,
}

/// A block of a table.
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) key: Vec<u8>,
    pub(crate) rows: u64,
    pub(crate) plain: Vec<u8>,
    /// What the directory says in place of the truth: offset, stored length, plain length.
    pub(crate) lies: [Option<u64>; 3],
}

/// The tables of an index.
pub(crate) fn open(index: &Index) -> Vec<Table> {
    let (blocks, directory) = index.bytes.split_at(index.bytes.len() - index.directory_bytes as usize);
    let mut cursor = Cursor::new(&directory[4..], "directory");
    let mut tables = Vec::new();
    for _ in 0..cursor.uvarint().expect("a count") {
        let [id, flags, rows, count] = [(); 4].map(|()| cursor.uvarint().expect("a number"));
        let blocks = (0..count).map(|_| Block::open(&mut cursor, id, blocks)).collect();
        tables.push(Table { id, flags, rows, count: None, blocks });
    }
    tables
}

/// The index of these tables.
pub(crate) fn close(tables: &[Table]) -> Index {
    let (mut bytes, mut directory) = (Vec::new(), b"OCMD".to_vec());
    put_uvarint(&mut directory, tables.len() as u64);
    for table in tables {
        let count = table.count.unwrap_or(table.blocks.len() as u64);
        [table.id, table.flags, table.rows, count].into_iter().for_each(|number| put_uvarint(&mut directory, number));
        table.blocks.iter().for_each(|block| block.close(&mut bytes, &mut directory));
    }
    let (directory_bytes, digest) = (directory.len() as u64, Digest::of(&directory));
    bytes.extend(directory);
    Index { bytes, directory_bytes, directory: digest }
}

impl Block {
    fn open(cursor: &mut Cursor<'_>, id: u64, blocks: &[u8]) -> Self {
        let mut key = Vec::new();
        match id == table::BLOBS {
            true => put_digest(&mut key, &cursor.digest().expect("a key")),
            false => put_uvarint(&mut key, cursor.uvarint().expect("a key")),
        }
        let [offset, stored, plain, rows] = [(); 4].map(|()| cursor.uvarint().expect("a number"));
        cursor.take(32).expect("a hash");
        let stored = &blocks[offset as usize..(offset + stored) as usize];
        let plain = frame::decompress(stored, plain as usize, None).expect("a block");
        Self { key, rows, plain, lies: [None; 3] }
    }

    fn close(&self, bytes: &mut Vec<u8>, directory: &mut Vec<u8>) {
        let stored = frame::compress(&self.plain, 3).expect("compressed");
        directory.extend_from_slice(&self.key);
        let truth = [bytes.len() as u64, stored.len() as u64, self.plain.len() as u64];
        truth.into_iter().zip(self.lies).for_each(|(truth, lie)| put_uvarint(directory, lie.unwrap_or(truth)));
        put_uvarint(directory, self.rows);
        directory.extend_from_slice(Digest::of(&stored).bytes());
        bytes.extend(stored);
    }
}

impl Block {
    /// The bytes of a column, counted from 1 as in the specification.
    pub(crate) fn column(&mut self, number: usize) -> &mut [u8] {
        let mut cursor = Cursor::new(&self.plain, "block");
        cursor.uvarint().expect("a count of rows");
        let columns = (0..number).map(|_| {
            let bytes = cursor.uvarint().expect("a length") as usize;
            let at = self.plain.len() - cursor.rest().len();
            cursor.take(bytes).expect("a column");
            at..at + bytes
        });
        let place = columns.last().expect("a column");
        &mut self.plain[place]
    }
}

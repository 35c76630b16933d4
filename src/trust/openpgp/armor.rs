//! [`dearmored`]: keys as bytes, however their file writes them.
//!
//! **Invariants.** A file of text may have several blocks, one after the other, as those of Red Hat do: all of them count. The checksum of
//! a block is passed over: it protects from noise, and whoever names the file trusts it.
//!
//! *Not here:* the keys (`key`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::json::Why;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// The bytes of each block of `file`; the file itself, where it is no text.
pub(super) fn dearmored(file: &[u8]) -> Why<Vec<Vec<u8>>> {
    let Some(text) = std::str::from_utf8(file).ok().filter(|text| text.contains(BEGIN)) else { return Ok(vec![file.to_vec()]) };
    text.split(BEGIN).skip(1).map(block).collect()
}

/// What stands between the two lines: headers, an empty line, base64, a checksum.
fn block(text: &str) -> Why<Vec<u8>> {
    let (inner, _) = text.split_once(END).ok_or_else(|| "its armor has no end".to_owned())?;
    let mut lines = inner.lines().skip(1).map(str::trim).skip_while(|line| line.contains(": ")).peekable();
    lines.next_if(|line| line.is_empty());
    let data: String = lines.take_while(|line| !line.starts_with('=')).collect();
    STANDARD.decode(data).map_err(|error| format!("its armor is damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_counts_with_or_without_headers_and_checksum() {
        let one = format!("a comment\n{BEGIN}\nVersion: 1\n\nAQID\nBAUG\n=abcd\n{END}\n");
        let other = format!("{BEGIN}\r\n\r\nBw==\r\n{END}\r\n");
        assert_eq!(dearmored(format!("{one}{other}").as_bytes()), Ok(vec![vec![1, 2, 3, 4, 5, 6], vec![7]]));
        assert_eq!(dearmored(&[0x99, 1]), Ok(vec![vec![0x99, 1]]));
        assert!(dearmored(format!("{BEGIN}\n\nAQID").as_bytes()).is_err());
        assert!(dearmored(format!("{BEGIN}\n\n!!\n{END}").as_bytes()).is_err());
    }
}

//! [`Signers`]: whose signatures of sets and receipts count, for which lineages or destinations, and as what.
//!
//! **Invariants.** A trust file is read whole or not at all; what is wrong in it is told with line and column. A key that is named alone has no
//! role, and counts for everything.
//!
//! *Not here:* how many signatures must be there (`authority`).

use super::minisign::{KeyId, PublicKey};
use crate::error::{Error, Result};

/// The longest name of a role.
const MAX_ROLE: usize = 64;

/// Whose signatures count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signers(Vec<Signer>);

/// A key, what it counts as, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The key.
    pub key: PublicKey,
    /// What it counts as; a key that was named alone has no role.
    pub role: Option<String>,
    /// Patterns of names of lineages, and of destinations of receipts.
    globs: Vec<String>,
}

impl Signers {
    /// One key for everything.
    #[must_use]
    pub fn one(key: PublicKey) -> Self {
        Self(vec![Signer { key, role: None, globs: vec!["*".to_owned()] }])
    }

    /// Reads a trust file, which is called `name`: lines `KEY ROLE LINEAGE-GLOB…`, and comments from `#` on.
    pub fn read(name: &str, text: &[u8]) -> Result<Self> {
        let wrong = |line: usize, column: usize, why: &str| {
            Error::usage(format!("{name}:{line}:{column}: {why}"))
                .hint("write lines `KEY ROLE LINEAGE-GLOB…`, as in docs/guides/signed-sets.md")
        };
        let text = std::str::from_utf8(text).map_err(|error| {
            let before = text.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            wrong(line, 1, "it is no text in UTF-8")
        })?;
        let mut signers = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let signer = signer(line).map_err(|(column, why)| wrong(number, column, &why))?;
            signers.extend(signer);
        }
        match signers.is_empty() {
            true => Err(wrong(1, 1, "no key is in it")),
            false => Ok(Self(signers)),
        }
    }

    /// Adds those of another file.
    pub fn add(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// How many different keys have a role; any, where none is asked for.
    #[must_use]
    pub fn keys_of(&self, role: Option<&str>) -> usize {
        let mut keys: Vec<PublicKey> = self.0.iter().filter(|signer| signer.is(role)).map(|signer| signer.key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.len()
    }

    /// The lines of a key id.
    pub fn with_id(&self, id: KeyId) -> impl Iterator<Item = &Signer> {
        self.0.iter().filter(move |signer| signer.key.id() == id)
    }
}

impl Signer {
    /// Whether it counts as this; everything counts where no role is asked for.
    #[must_use]
    pub fn is(&self, role: Option<&str>) -> bool {
        role.is_none() || self.role.as_deref() == role
    }

    /// Whether it counts for a lineage of this name, or this destination.
    #[must_use]
    pub fn is_for(&self, name: &str) -> bool {
        self.globs.iter().any(|glob| matches(glob.as_bytes(), name.as_bytes()))
    }
}

/// What a line says; nothing, where it is empty or a comment. An error has its column, from 1.
fn signer(line: &str) -> std::result::Result<Option<Signer>, (usize, String)> {
    let mut words = words(line);
    let Some((column, key)) = words.next() else { return Ok(None) };
    let key = PublicKey::read(key.as_bytes()).map_err(|why| (column, format!("this is no public key of minisign: {why}")))?;
    let end = line.chars().count() + 1;
    let (column, role) = words.next().ok_or((end, "the role of the key is missing".to_owned()))?;
    if !is_role(role) {
        return Err((column, format!("{role:?} is no role: at most {MAX_ROLE} letters, digits, - and _")));
    }
    let globs: Vec<String> = words.map(|(_, glob)| glob.to_owned()).collect();
    if globs.is_empty() {
        return Err((end, "what the key counts for is missing: names of lineages, or *".to_owned()));
    }
    Ok(Some(Signer { key, role: Some(role.to_owned()), globs }))
}

/// Whether a word can be a role.
#[must_use]
pub fn is_role(word: &str) -> bool {
    let of_role = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !word.is_empty() && word.len() <= MAX_ROLE && word.chars().all(of_role) && !word.chars().all(|c| c.is_ascii_digit())
}

/// The words before a comment, with their columns from 1.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = line;
    let mut column = 1;
    let words = std::iter::from_fn(move || {
        let trimmed = rest.trim_start();
        column += rest.chars().count() - trimmed.chars().count();
        let length = trimmed.find(char::is_whitespace).unwrap_or(trimmed.len());
        let (word, after) = trimmed.split_at(length);
        let at = column;
        column += word.chars().count();
        rest = after;
        (!word.is_empty()).then_some((at, word))
    });
    words.take_while(|(_, word)| !word.starts_with('#'))
}

/// Whether a name fits a pattern: `*` is any run of bytes, `?` one byte. It takes no more than the product of both lengths.
fn matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name) = (0, 0);
    // Where the last star stands, and what it has taken up to.
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match (glob.get(at), star) {
            (Some(b'*'), _) => {
                star = Some((at, in_name));
                at += 1;
            }
            (Some(letter), _) if *letter == b'?' || *letter == name[in_name] => (at, in_name) = (at + 1, in_name + 1),
            (_, Some((place, taken))) => {
                (at, in_name) = (place + 1, taken + 1);
                star = Some((place, taken + 1));
            }
            (_, None) => return false,
        }
    }
    glob[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "RWQBChId0syNok4K7GfP7fDRCovtCxwVdwxyT48JGYBJiTGwXpUZTJhq";

    #[test]
    fn lines_are_keys_with_a_role_for_lineages() {
        let text = format!("# who signs\n\n{KEY}  builder\tdisk lab-*   # the near side\n  {KEY} auditor *\n");
        let signers = Signers::read("trust", text.as_bytes()).expect("signers");
        assert_eq!(signers.0.len(), 2);
        assert_eq!(
            (signers.0[0].role.as_deref(), signers.0[0].globs.as_slice()),
            (Some("builder"), ["disk".into(), "lab-*".into()].as_slice())
        );
        assert_eq!((signers.keys_of(None), signers.keys_of(Some("auditor")), signers.keys_of(Some("other"))), (1, 1, 0));
        assert!(signers.0[0].is_for("lab-7") && !signers.0[0].is_for("disk2") && signers.0[1].is_for("any thing"));
        assert!(signers.0[0].is(None) && signers.0[0].is(Some("builder")) && !signers.0[0].is(Some("auditor")));
        assert!(Signers::one(signers.0[0].key).0[0].is_for("x"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, place) in [
            ("# nothing\n".to_owned(), "t:1:1: no key is in it"),
            ("x\n".to_owned(), "t:1:1: this is no public key"),
            (format!("\n  {}", KEY.replace("RW", "RU")), "t:2:3: this is no public key"),
            (KEY.to_owned(), "t:1:57: the role of the key is missing"),
            (format!("{KEY} 12 *"), "t:1:58: \"12\" is no role"),
            (format!("{KEY} a=b *"), "t:1:58: \"a=b\" is no role"),
            (format!("#\n{KEY} builder  # *"), "t:2:70: what the key counts for is missing"),
            (format!("{KEY} builder *\n\u{1}\u{7f}"), "t:2:1: this is no public key"),
        ] {
            let error = Signers::read("t", text.as_bytes()).expect_err("refused").to_string();
            assert!(error.starts_with(place), "{error}");
        }
        let error = Signers::read("t", b"#\n\xff").expect_err("refused").to_string();
        assert_eq!(error, "t:2:1: it is no text in UTF-8");
    }

    #[test]
    fn patterns_fit_whole_names() {
        for (glob, name, fits) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a", "a", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("lab-*", "lab-", true),
            ("lab-*", "lab", false),
            ("*-x-*", "a-x-b-x-", true),
            ("*ab", "aab", true),
            ("*a*b*c", "xxaxxbxxb", false),
            ("A", "a", false),
        ] {
            assert_eq!(matches(glob.as_bytes(), name.as_bytes()), fits, "{glob} {name}");
        }
        assert!(!matches("*a".repeat(2000).as_bytes(), "b".repeat(20_000).as_bytes()));
    }
}

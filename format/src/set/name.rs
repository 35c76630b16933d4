//! Names of the files of a set (SPEC section 3).
//!
//! **Invariants.** A name is safe on FAT, never hidden, and never leads out of its folder, whatever the lineage is called.
//!
//! *Not here:* telling volumes apart: identity comes from headers, names are advice.

use crate::layout::{Header, Id, VolumeKind};

/// What the file names of a set begin with: `NAME.g0001-1a2b3c4d`.
#[must_use]
pub fn stem(lineage: &str, generation: u32, set: Id) -> String {
    let id: String = set.to_string().chars().take(8).collect();
    let name: String =
        lineage.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).take(64).collect();
    let name = if name.is_empty() { "archive" } else { &name };
    format!("{name}.g{generation:04}-{id}")
}

/// The name of the file that `header` is of, in a lineage of this name.
#[must_use]
pub fn file_name(lineage: &str, header: &Header) -> String {
    format!("{}{}", stem(lineage, header.generation, header.set), ending(header))
}

/// The name of the lineage that a file says by its own name, if that is the one that a file of this header has.
#[must_use]
pub fn lineage_in<'n>(name: &'n str, header: &Header) -> Option<&'n str> {
    let rest = name.strip_suffix(&ending(header))?;
    let lineage = rest.get(..rest.rfind(".g")?)?;
    (file_name(lineage, header) == name).then_some(lineage)
}

fn ending(header: &Header) -> String {
    let series = match header.kind {
        VolumeKind::Data => 'v',
        VolumeKind::Parity => 'p',
        VolumeKind::Catalogue => 'c',
    };
    format!(".{series}{:03}.ocm.tar", header.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{MIN_CAP, Parent};

    fn header() -> Header {
        let (set, lineage) = (Id([0xab; 16]), Id([1; 16]));
        let kind = VolumeKind::Data;
        Header {
            kind,
            compatible: 0,
            incompatible: 0,
            set,
            lineage,
            generation: 7,
            number: 12,
            cap: MIN_CAP,
            time: 0,
            parent: Parent::None,
        }
    }

    #[test]
    fn names_stay_in_their_folder_and_say_what_they_are_of() {
        for (lineage, name) in [
            ("disk", "disk.g0007-abababab.v012.ocm.tar"),
            ("../x y", "---x-y.g0007-abababab.v012.ocm.tar"),
            ("", "archive.g0007-abababab.v012.ocm.tar"),
        ] {
            assert_eq!(file_name(lineage, &header()), name);
            assert!(lineage_in(name, &header()).is_some_and(|found| file_name(found, &header()) == name));
        }
        for foreign in
            ["DISK_G00.TAR", "disk.g0007-abababab.v013.ocm.tar", "disk.g0008-abababab.v012.ocm.tar", "a b.g0007-abababab.v012.ocm.tar"]
        {
            assert_eq!(lineage_in(foreign, &header()), None);
        }
    }
}

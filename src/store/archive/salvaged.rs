//! [`ArchiveSource::salvage`]: a damaged archive as a source of whatever is still wholly there.
//!
//! **Invariants.** Every image that a set names, or a note in a volume, is listed; what of it cannot be had is found out by who asks for it,
//! as at any source. Nothing of a salvaged set counts as accepted or complete.
//!
//! *Not here:* how a volume without an index is read (`ocm_format::salvage`).

use std::collections::BTreeSet;
use std::path::Path;

use ocm_format::index::Stored;
use ocm_format::reader::{Options, Reader};
use ocm_format::salvage::{Note, salvage};
use ocm_format::set::SetFiles;

use super::shelf::lacks;
use super::source::{ArchiveSource, SetFacts};
use super::{Shelf, told};
use crate::error::{Error, Result};
use crate::image::artifact::OWN_HOST;
use crate::image::{Contents, Descriptor, Item, Reference, Role};
use crate::store::family::Family;

/// What of an archive can be read, and what stands against it.
pub struct Salvage {
    /// Reads it.
    pub source: ArchiveSource,
    /// What could not be made out, for a person.
    pub lost: Vec<String>,
}

impl ArchiveSource {
    /// Reads what there is of the sets of a shelf, or of its set `generation`, with all sets at hand to build on. Of a name that several have,
    /// the newest counts. `scratch` is a directory for indexes that are made anew; nothing in it keeps a name.
    pub fn salvage(shelf: &Shelf, generation: Option<u32>, bases: &[Shelf], scratch: &Path) -> Result<Salvage> {
        let meant = |set: &&SetFiles| generation.is_none_or(|wanted| set.header.generation == wanted);
        let (chosen, others): (Vec<&SetFiles>, Vec<&SetFiles>) = shelf.found().sets.iter().partition(meant);
        if chosen.is_empty() {
            return shelf.select(generation).and(Err(Error::usage("no such set")));
        }
        let mut others: Vec<&SetFiles> = others.into_iter().chain(bases.iter().flat_map(|base| &base.found().sets)).collect();
        // A later set may have a blob again as a patch of one that a chosen set has: it comes last.
        others.sort_by_key(|set| generation.is_some_and(|wanted| set.header.generation > wanted));
        let all: Vec<&SetFiles> = chosen.iter().copied().chain(others).collect();
        let found = salvage(all.iter().copied(), scratch, Options::default()).map_err(|error| told(&error))?;
        let mut lost: Vec<String> = found.lost.iter().map(ToString::to_string).collect();
        lost.extend(shelf.found().strangers.iter().map(|(path, error)| format!("{}: {error}", path.display())));
        lost.extend(chosen.iter().filter(|set| !set.is_complete()).map(|set| lacks(set)));
        let survey = Survey::of(&found.reader, shelf)?;
        let mut by_age = chosen;
        by_age.sort_by_key(|set| (set.header.time, set.header.generation));
        let mut contents = Contents::default();
        for set in by_age {
            let items = match SetFacts::of(set) {
                Ok(facts) => facts.contents.items().to_vec(),
                Err(_) => survey.items(found.notes.iter().filter(|note| note.set == set.id()), &mut lost),
            };
            items.into_iter().for_each(|item| contents.put(item));
        }
        Ok(Salvage { source: Self::of_reader(shelf.path(), found.reader, contents), lost })
    }
}

/// All manifests that can be read.
struct Survey(Family);

impl Survey {
    /// Manifests stand by themselves; what cannot be read as one is none.
    fn of(reader: &Reader, shelf: &Shelf) -> Result<Self> {
        let mut family = Family::default();
        let source = ArchiveSource::of_reader(shelf.path(), reader.clone(), Contents::default());
        let mut seen = BTreeSet::new();
        for row in reader.blobs().flatten().filter(|row| matches!(row.stored, Stored::Verbatim { .. })) {
            if seen.insert(row.digest)
                && let Ok(Some(manifest)) = source.manifest_now(&Descriptor::new("", row.digest, row.bytes))
            {
                family.add(&manifest);
            }
        }
        Ok(Self(family))
    }

    /// The images that notes speak of.
    fn items<'n>(&self, notes: impl Iterator<Item = &'n Note>, lost: &mut Vec<String>) -> Vec<Item> {
        let mut items = Vec::new();
        for note in notes {
            match (note.text.parse::<Reference>(), self.0.descriptor(&note.digest)) {
                (Ok(origin), Some(root)) => items.push(self.item(origin, root.clone(), lost)),
                (Ok(_), None) => lost.push(format!("{}: its manifest {} cannot be read", note.text, note.digest)),
                (Err(_), _) => {}
            }
        }
        items
    }

    fn item(&self, origin: Reference, root: Descriptor, lost: &mut Vec<String>) -> Item {
        let role = if origin.repository().registry() == OWN_HOST { Role::Config } else { Role::Image };
        let platforms = self.0.platforms(&root.digest);
        let gone = self.0.children(&root.digest).filter(|child| self.0.descriptor(child).is_none()).count();
        let wanted = if gone > 0 { platforms.clone() } else { Vec::new() };
        if gone > 0 {
            lost.push(format!("{origin}: {gone} of the manifests that it lists are not here: left out, or lost"));
        }
        let attached = self.0.attached(&root.digest);
        Item { role, attached, wanted, platforms, root: Some(root), ..Item::image(origin) }
    }
}

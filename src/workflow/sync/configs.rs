//! The configurations that a set is made from, kept in it as artifacts (semantics A.6, A.7).
//!
//! **Invariants.** They are no content: nothing that a person asked for, pushed nowhere, and no reason for a new set.
//!
//! *Not here:* reading them back (`workflow::configs`).

use std::sync::Arc;

use bytes::Bytes;

use crate::collect::Document;
use crate::error::{Error, Result};
use crate::image::artifact::Artifact;
use crate::image::{Contents, Descriptor, Item, Role, Wanted};
use crate::store::memory::Memory;
use crate::workspace::{Workspace, words};

/// What kind of artifact it is.
const ARTIFACT_TYPE: &str = "application/vnd.ocm.config.v1";
const MEDIA_TYPE: &str = "application/yaml";

/// The configurations, as items of a set.
pub(super) fn wanted(documents: &[Document]) -> Result<Vec<Wanted>> {
    let memory = Memory::default();
    let one = |(number, document): (usize, &Document)| {
        let bytes = Bytes::from(document.text.clone().into_bytes());
        item(&memory, number, &Artifact::of(ARTIFACT_TYPE, MEDIA_TYPE, &words(&document.name), bytes)?)
    };
    (1..).zip(documents).map(one).collect()
}

/// Keeps them in the workspace too: a set can be written once more only with them.
pub(super) fn keep(documents: &[Document], workspace: &Workspace) -> Result<()> {
    documents.iter().try_for_each(|document| workspace.keep_config(&document.name, &document.text))
}

/// Those that a set lists, from the workspace.
pub(super) fn recalled(contents: &Contents, workspace: &Workspace) -> Result<Vec<Wanted>> {
    let listed: Vec<&Item> = contents.items().iter().filter(|item| item.role == Role::Config).collect();
    if listed.is_empty() {
        return Ok(Vec::new());
    }
    let known = workspace.configs()?.into_iter().map(|(name, text)| Document { name, text }).collect::<Vec<_>>();
    let known = wanted(&known)?;
    let mut all = Vec::new();
    for item in listed {
        let gone = || {
            Error::needed(format!("the configuration {} of the set is not in {}", item.origin, workspace.path().display()))
                .hint("put the file into configs/ of the workspace: `ocm config show` prints it where the set still is")
        };
        let root = item.digest().ok_or_else(gone)?;
        let known = known.iter().find(|known| known.item.digest() == Some(root)).ok_or_else(gone)?;
        all.push(Wanted { item: item.clone(), name: item.origin.clone(), ..known.clone() });
    }
    Ok(all)
}

fn item(memory: &Memory, number: usize, artifact: &Artifact) -> Result<Wanted> {
    for (descriptor, bytes) in &artifact.blobs {
        memory.insert_blob(&descriptor.media_type, bytes.clone());
    }
    memory.insert_manifest(&artifact.manifest);
    let name = Artifact::name("config", number)?;
    let root = Descriptor { annotations: None, ..artifact.manifest.descriptor().clone() };
    let item = Item { role: Role::Config, root: Some(root), ..Item::image(name.clone()) };
    Ok(Wanted { pinned: true, ..Wanted::new(item, Arc::new(memory.clone()), name) })
}

//! [`Report`]: what became of each item; and [`Class`], what that means for the run.
//!
//! **Invariants.** One outcome for each item of the plan, in its order. The class is a function of the outcomes, here
//! and nowhere else.
//!
//! *Not here:* printing (`cli`).

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::error::{Error, Kind};
use crate::image::{Contents, Item, Reference};

/// What a transfer did.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What became of each item, in the order of the plan.
    pub items: Vec<Outcome>,
    /// All bytes that moved, those of failed items too.
    pub bytes_moved: u64,
}

/// What became of one item.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// What it is; if it failed, its state says why.
    pub item: Item,
    /// How it is called at the destination.
    pub name: Reference,
    /// How it ended.
    #[serde(flatten)]
    pub ending: Ending,
}

/// How an item ended.
#[derive(Debug, Clone)]
pub enum Ending {
    /// It is complete at the destination now.
    Done {
        /// What was moved for it.
        bytes: u64,
    },
    /// It was complete at the destination before.
    Already,
    /// It could not be brought.
    Failed(Error),
}

/// What a run came to; the worst is the greatest (semantics D.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// All of it is done.
    Done,
    /// What is there is complete, but not all is there.
    Partial,
    /// Something else is needed.
    Needed,
    /// Bytes are not what they must be.
    Damaged,
    /// It did not work.
    Failed,
    /// What was asked for cannot be.
    Usage,
    /// The person stopped it.
    Interrupted,
}

impl From<Kind> for Class {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Failed => Self::Failed,
            Kind::Usage => Self::Usage,
            Kind::Damaged => Self::Damaged,
            Kind::Needed => Self::Needed,
            Kind::Interrupted => Self::Interrupted,
        }
    }
}

impl Class {
    /// The exit code that stands for it.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::Damaged => 4,
            Self::Needed => 5,
            Self::Interrupted => 130,
        }
    }
}

impl Outcome {
    /// Whether the item could not be brought.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.ending, Ending::Failed(_))
    }
}

impl Report {
    /// What the run came to. Where some items are complete, one that failed makes it partial; damage, and what is
    /// needed from elsewhere, stay what they are.
    #[must_use]
    pub fn class(&self) -> Class {
        let any_complete = self.items.iter().any(|outcome| !outcome.has_failed());
        let class = |outcome: &Outcome| match &outcome.ending {
            Ending::Failed(error) => match Class::from(error.kind()) {
                Class::Failed | Class::Usage if any_complete => Class::Partial,
                class => class,
            },
            Ending::Done { .. } | Ending::Already => Class::Done,
        };
        self.items.iter().map(class).max().unwrap_or(Class::Done)
    }

    /// What the destination lists after it: every item, complete or with the reason why not.
    #[must_use]
    pub fn contents(&self) -> Contents {
        Contents::new(self.items.iter().map(|outcome| outcome.item.clone()))
    }
}

impl Serialize for Ending {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Done { bytes } => {
                map.serialize_entry("result", "done")?;
                map.serialize_entry("bytesMoved", bytes)?;
            }
            Self::Already => map.serialize_entry("result", "already")?,
            Self::Failed(error) => {
                map.serialize_entry("result", "failed")?;
                map.serialize_entry("class", &Class::from(error.kind()))?;
                map.serialize_entry("why", &error.to_string())?;
                error.way_out().map_or(Ok(()), |hint| map.serialize_entry("hint", hint))?;
            }
        }
        map.end()
    }
}

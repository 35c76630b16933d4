//! `ocm inspect`: one image of an archive in full, or its sets.

use clap::Args;

use super::ls::archive;
use super::runner::Runner;
use super::show;
use crate::error::Result;
use crate::image::Reference;
use crate::image::place::Location;
use crate::transfer::Class;
use crate::workflow::inspect::{SetView, image, raw, sets};

/// Show one image of an archive in full, or its sets
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  ocm inspect /mnt/disk\n  ocm inspect /mnt/disk nginx:1.27\n  ocm inspect --raw /mnt/disk nginx:1.27 | jq ."
)]
pub(super) struct Arguments {
    /// The archive directory; @N for set N
    archive: Location,
    /// The image, by tag or digest; without it, the sets
    image: Option<Reference>,
    /// Print the manifest exactly as it is stored
    #[arg(long, requires = "image")]
    raw: bool,
}

/// The sets, as one document.
#[derive(serde::Serialize)]
struct Sets {
    sets: Vec<SetView>,
}

impl Arguments {
    pub(super) fn run(self, runner: &Runner) -> Result<Class> {
        let (path, generation) = archive(self.archive)?;
        let Some(name) = self.image else {
            let sets = Sets { sets: sets(&path, generation)? };
            return runner.show("ocm.inspect.sets.v1", Class::Done, &sets, || show::inspect::sets(&sets.sets));
        };
        if self.raw {
            runner.console.raw(&raw(&path, generation, &name)?)?;
            return Ok(Class::Done);
        }
        let view = image(&path, generation, &name)?;
        runner.show("ocm.inspect.image.v1", Class::Done, &view, || show::inspect::image(&view))
    }
}

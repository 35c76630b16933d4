//! A mount beside the layout that sync makes of the same archive.

use std::path::Path;
use std::process::Command;

use super::seen::{Archive, Seen};
use crate::support::tools::run;

/// What a shell says in a folder.
fn said_in(folder: &Path, script: &str) -> String {
    run(Command::new("sh").args(["-c", script]).current_dir(folder))
}

#[tokio::test(flavor = "multi_thread")]
async fn find_tar_and_cp_see_the_blobs_that_a_layout_from_sync_has() {
    let archive = Archive::zoo().await;
    let Some(seen) = Seen::mount(&archive, &[]) else { return };
    let (view, synced, copied) = (seen.at(""), archive.lab.folder("synced"), archive.lab.folder("copied"));
    archive.lab.sync(&[archive.path()], &format!("oci:{}", synced.display())).await.expect("a layout");
    std::fs::create_dir(&copied).expect("a folder");
    run(Command::new("cp").arg("-a").args(["blobs", "oci-layout", "index.json"].map(|name| view.join(name))).arg(&copied));
    run(Command::new("diff").arg("-r").args([copied.join("blobs"), synced.join("blobs")]));
    for script in [
        "find blobs -printf '%P %y %f\\n' | sort",
        "find blobs -type f -printf '%P %s\\n' | sort",
        "tar --sort=name --mtime=@0 --owner=0 --group=0 --mode=444 -cf - blobs oci-layout | sha256sum",
    ] {
        assert_eq!(said_in(&view, script), said_in(&synced, script), "{script}");
    }
    // A copy has all that there is of a file, its times and its mode too.
    for script in ["find blobs oci-layout index.json -printf '%p %y %m %T@\\n' | sort", "sha256sum index.json"] {
        assert_eq!(said_in(&view, script), said_in(&copied, script), "{script}");
    }
}

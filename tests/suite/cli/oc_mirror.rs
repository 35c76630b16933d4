//! The name oc-mirror: its three workflows on real registries, its places, messages and exit codes.
//!
//! *Not here:* what a sync does (`syncing`, `configured`).

mod flags;
mod places;

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use super::{Ocm, Said};
use crate::support::images::{Image, Layout, digest_by_skopeo, push};
use crate::support::registry::Registry;

/// A person of oc-mirror, two registries, and a configuration of images in the first one.
struct Scene {
    ocm: Ocm,
    near: Registry,
    far: Registry,
}

impl Scene {
    /// Images `team/one:1`, `team/two:1` and `team/three:1` are there; the configuration asks for the first two.
    async fn new() -> Option<Self> {
        let scene = Self { ocm: Ocm::new(), near: Registry::start()?, far: Registry::start()? };
        let layout = Layout::new();
        for (seed, name) in (1..).zip(["one", "two", "three"]) {
            let root = layout.image(&Image::generated(seed, 60_000));
            push(&layout, &root, &format!("{}/team/{name}", scene.near.host()), Some("1")).await;
        }
        scene.configure(&["one:1", "two:1"]);
        symlink(env!("CARGO_BIN_EXE_ocm"), scene.path("oc-mirror")).expect("a link");
        Some(scene)
    }

    /// Writes `isc.yaml`, which asks for these images.
    fn configure(&self, images: &[&str]) {
        let head = "kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\nmirror:\n  additionalImages:\n";
        let lines: String = images.iter().map(|image| format!("  - name: {}/team/{image}\n", self.near.host())).collect();
        std::fs::write(self.path("isc.yaml"), format!("{head}{lines}")).expect("a configuration");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.ocm.home.path().join(name)
    }

    /// The program under the name oc-mirror.
    fn command(&self, arguments: &str) -> Command {
        let arguments = arguments.replace("FAR", self.far.host()).replace("NEAR", self.near.host());
        let mut command = self.ocm.command(&[]);
        let program = Command::new(self.path("oc-mirror"));
        let variables: Vec<_> = command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        command = program;
        command.env_clear().envs(variables).env("CONTAINERS_REGISTRIES_CONF", "/dev/null");
        command.args(arguments.split_whitespace()).current_dir(self.ocm.home.path()).stdin(std::process::Stdio::null());
        command
    }

    fn run(&self, arguments: &str) -> Said {
        Said::of(&self.command(arguments).output().expect("it runs"))
    }

    /// The same, which must end well.
    fn done(&self, arguments: &str) -> Said {
        let said = self.run(arguments);
        assert_eq!(said.code, Some(0), "{arguments}: {said:?}");
        said
    }

    /// The names in a folder, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// The digest of an image in the second registry.
    fn pushed(&self, name: &str) -> Option<String> {
        digest_by_skopeo(&format!("{}/{name}", self.far.host())).map(|digest| digest.to_string())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_written_and_pushed_from_with_the_commands_of_oc_mirror() {
    let Some(scene) = Scene::new().await else { return };
    let made = scene.done("-c isc.yaml file://disk --v2");
    for line in [
        "👋 Hello, welcome to oc-mirror",
        "🔀 workflow mode: mirrorToDisk",
        "=== Results ===",
        " ✓  2 / 2 additional images mirrored successfully",
    ] {
        assert!(made.out.contains(line), "{line}: {made:?}");
    }
    assert!(made.out.contains("carry  disk/mirror_000001.tar"), "{made:?}");
    assert!(made.out.contains(&format!("Success copying {}/team/one:1 ➡️  cache", scene.near.host())), "{made:?}");
    let names = scene.names("disk");
    assert_eq!((names.len(), &*names[1], &*names[2]), (3, "mirror_000001.tar", "working-dir"), "{names:?}");
    let sums = Command::new("sha256sum").args(["-c", &names[0]]).current_dir(scene.path("disk")).output().expect("sha256sum");
    assert!(sums.status.success() && String::from_utf8_lossy(&sums.stdout).contains("mirror_000001.tar: OK"), "{sums:?}");
    // Elsewhere: the disk alone, and nothing of where it came from.
    std::fs::create_dir(scene.path("carried")).expect("a folder");
    std::fs::copy(scene.path("disk/mirror_000001.tar"), scene.path("carried/mirror_000001.tar")).expect("carried");
    let pushed = scene.done("--v2 --config=isc.yaml --from carried docker://FAR/lab/");
    assert!(pushed.out.contains("🔀 workflow mode: diskToMirror") && pushed.out.contains("team/two:1 ➡️  "), "{pushed:?}");
    assert!(scene.pushed("lab/team/one:1").is_some() && scene.pushed("lab/team/two:1").is_some());
    assert!(scene.text("carried/working-dir/cluster-resources/itms-oc-mirror.yaml").contains("/lab/team"));
    assert!(scene.names("carried/working-dir/cluster-resources").contains(&"registries.conf".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn registries_are_mirrored_with_a_workspace() {
    let Some(scene) = Scene::new().await else { return };
    for workspace in ["ws", "named/working-dir"] {
        scene.done(&format!("-c isc.yaml --workspace file://{workspace} docker://FAR --v2"));
    }
    assert!(scene.pushed("team/one:1").is_some());
    for place in ["ws/working-dir/cluster-resources", "named/working-dir/cluster-resources"] {
        assert!(scene.names(place).contains(&"itms-oc-mirror.yaml".to_owned()), "{place}: {:?}", scene.names(place));
    }
    let again = scene.done("-c isc.yaml --workspace file://ws docker://FAR --v2");
    assert!(again.out.contains("nothing new"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_commands_work_as_a_verb_of_ocm() {
    let Some(scene) = Scene::new().await else { return };
    let made = scene.ocm.run(&["oc-mirror", "--v2", "-c", "isc.yaml", "file://disk"]);
    assert!(made.code == Some(0) && made.out.contains("2 / 2 additional images"), "{made:?}");
    assert!(scene.path("disk/mirror_000001.tar").is_file());
    let listed = scene.ocm.run(&["ls", "disk"]);
    assert!(listed.code == Some(0) && listed.out.contains("team/one:1"), "{listed:?}");
    assert_eq!(scene.ocm.run(&["verify", "disk"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_image_that_is_not_there_costs_itself_and_bit_8() {
    let Some(scene) = Scene::new().await else { return };
    scene.configure(&["one:1", "gone:1"]);
    let made = scene.run("-c isc.yaml file://disk --v2");
    assert_eq!(made.code, Some(8), "{made:?}");
    let line = " ✗  1 / 2 additional images mirrored: Some additional images failed to be mirrored - please check the logs";
    assert!(made.out.contains(line) && made.out.contains("some errors occurred during the mirroring"), "{made:?}");
    let logs = scene.names("disk/working-dir/logs");
    let errors = logs.iter().find(|name| name.starts_with("mirroring_errors_")).expect("a list of errors");
    assert!(scene.text(&format!("disk/working-dir/logs/{errors}")).contains(&format!("{}/team/gone:1 error: ", scene.near.host())));
    assert!(scene.path("disk/mirror_000001.tar").is_file(), "what is there is an archive all the same");
    let pushed = scene.run("-c isc.yaml --from file://disk docker://FAR --v2");
    assert_eq!(pushed.code, Some(8), "{pushed:?}");
    assert!(scene.pushed("team/one:1").is_some());
    scene.configure(&["gone:1"]);
    assert_eq!(scene.run("-c isc.yaml file://other --v2").code, Some(8));
    assert!(!scene.names("other").iter().any(|name| name.ends_with(".tar")), "{:?}", scene.names("other"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_lists_names_and_leaves_archives_alone() {
    let Some(scene) = Scene::new().await else { return };
    let (near, far) = (scene.near.host().to_owned(), scene.far.host().to_owned());
    let dry = scene.done("-c isc.yaml file://disk --v2 --dry-run --port 56000");
    assert!(dry.out.contains("2 / 2 images are not in an archive yet"), "{dry:?}");
    let mapping = format!(
        "docker://{near}/team/one:1=docker://localhost:56000/team/one:1\ndocker://{near}/team/two:1=docker://localhost:56000/team/two:1\n"
    );
    assert_eq!(scene.text("disk/working-dir/dry-run/mapping.txt"), mapping);
    assert_eq!(scene.text("disk/working-dir/dry-run/missing.txt"), mapping);
    assert_eq!(scene.names("disk"), ["working-dir"]);
    scene.done("-c isc.yaml file://disk --v2");
    let before = std::fs::read(scene.path("disk/mirror_000001.tar")).expect("an archive");
    scene.done("-c isc.yaml file://disk --v2 --dry-run");
    assert_eq!(std::fs::read(scene.path("disk/mirror_000001.tar")).expect("an archive"), before, "a dry run removes no archive");
    assert!(!scene.path("disk/working-dir/dry-run/missing.txt").exists(), "all of it is in the archive");
    scene.done("-c isc.yaml --from file://disk docker://FAR/x --v2 --dry-run");
    assert!(
        scene
            .text("disk/working-dir/dry-run/mapping.txt")
            .contains(&format!("docker://localhost:55000/team/one:1=docker://{far}/x/team/one:1\n"))
    );
    assert!(!scene.far.storage().join("docker/registry/v2/repositories/x").exists());
    scene.done("-c isc.yaml --workspace file://ws docker://FAR --v2 --dry-run");
    assert!(
        scene.text("ws/working-dir/dry-run/mapping.txt").starts_with(&format!("docker://{near}/team/one:1=docker://{far}/team/one:1\n"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_can_list_the_images_of_manifest_lists() {
    let Some(scene) = Scene::new().await else { return };
    let layout = Layout::new();
    let children = [layout.image(&Image::generated(21, 20_000)), layout.image(&Image::generated(22, 20_000))];
    let root = layout.index(&children);
    push(&layout, &root, &format!("{}/team/multi", scene.near.host()), Some("1")).await;
    scene.configure(&["multi:1"]);
    scene.done("-c isc.yaml file://disk --v2 --dry-run-manifest-lists");
    let mapping = scene.text("disk/working-dir/dry-run/mapping.txt");
    let name = format!("{}/team/multi", scene.near.host());
    for child in &children {
        let line = format!("docker://{name}:1@{0}=docker://localhost:55000/team/multi@{0}\n", child.digest);
        assert!(mapping.contains(&line), "{line}: {mapping}");
    }
    assert_eq!(mapping.lines().count(), 3);
}

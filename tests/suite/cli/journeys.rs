//! Journeys of people, from beginning to end, as the guides tell them: one test for each page of `docs/guides`.
//!
//! *Not here:* an oc-mirror user's first day (`oc_mirror`), a look into a mounted archive (`mount`).

use std::path::PathBuf;

use super::{Ocm, Said};
use crate::support::images::{Image, Layout, digest_by_skopeo, push};
use crate::support::registry::Registry;

/// A person with a configuration, where images come from, and where they go.
struct Person {
    ocm: Ocm,
    near: Registry,
    far: Registry,
}

impl Person {
    async fn new() -> Option<Self> {
        let person = Self { ocm: Ocm::new(), near: Registry::start()?, far: Registry::start()? };
        for (seed, name) in (1..).zip(["app", "tool"]) {
            person.publish(seed, &format!("{name}:1"), 60_000).await;
        }
        Some(person)
    }

    /// Somebody publishes an image.
    async fn publish(&self, seed: u64, name: &str, bytes: usize) {
        let (layout, (repository, tag)) = (Layout::new(), name.split_once(':').expect("a tag"));
        let root = layout.image(&Image::generated(seed, bytes));
        push(&layout, &root, &format!("{}/team/{repository}", self.near.host()), Some(tag)).await;
    }

    fn configure(&self, file: &str, images: &[&str]) {
        let head = "kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\nmirror:\n  additionalImages:\n";
        let lines: String = images.iter().map(|image| format!("  - name: {}/team/{image}\n", self.near.host())).collect();
        std::fs::write(self.path(file), format!("{head}{lines}")).expect("a configuration");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.ocm.home.path().join(name)
    }

    /// Runs a line; words in single quotes are one.
    fn run(&self, line: &str) -> Said {
        let line = line.replace("FAR", self.far.host()).replace("NEAR", self.near.host());
        let quoted = line.split('\'').enumerate();
        let words = quoted.flat_map(|(at, part)| if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() });
        self.ocm.run(&words.collect::<Vec<_>>())
    }

    /// The same, which must end well.
    fn done(&self, line: &str) -> Said {
        let said = self.run(line);
        assert_eq!(said.code, Some(0), "{line}: {said:?}");
        said
    }

    fn digest(&self, registry: &Registry, name: &str) -> Option<String> {
        digest_by_skopeo(&format!("{}/{name}", registry.host())).map(|digest| digest.to_string())
    }

    /// Whether an image is at the far side as it is at the near one.
    fn arrived(&self, name: &str, as_name: &str) -> bool {
        self.digest(&self.near, name).is_some_and(|digest| self.digest(&self.far, as_name) == Some(digest))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_mirror_goes_to_several_discs() {
    let Some(person) = Person::new().await else { return };
    person.publish(9, "large:1", 40 << 20).await;
    person.configure("isc.yaml", &["app:1", "large:1"]);
    let command = "disc=disc-$OCM_VOLUME_KIND-$OCM_VOLUME_NUMBER; mkdir $disc && cp \"$OCM_VOLUME\" $disc/";
    let made = person.done(&format!("sync -c isc.yaml --volume-size 16MiB --on-volume '{command}' --release staging"));
    let discs = (1..).take_while(|number| person.path(&format!("disc-volume-{number}")).is_dir()).count();
    assert!(discs >= 2 && made.out.contains("(let go)"), "{discs}: {made:?}");
    for disc in 1..=discs {
        let left: Vec<_> = std::fs::read_dir(person.path(&format!("disc-volume-{disc}"))).expect("a disc").collect();
        assert!(left.len() == 1 && left[0].as_ref().is_ok_and(|file| file.metadata().is_ok_and(|data| data.len() < 16 << 20)));
        let gathered = person.run(&format!("gather disc-volume-{disc} archive"));
        assert_eq!(gathered.code, Some(if disc == discs { 0 } else { 5 }), "{gathered:?}");
    }
    person.done("verify archive");
    person.done("sync -c isc.yaml archive docker://FAR/mirror");
    assert!(person.arrived("team/large:1", "mirror/team/large:1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monthly_delta_goes_to_two_destinations() {
    let Some(person) = Person::new().await else { return };
    let Some(other) = Registry::start() else { return };
    person.configure("isc.yaml", &["app:1"]);
    for plant in ["north", "south"] {
        person.done(&format!("sync -c isc.yaml disks/{plant}"));
    }
    person.done("sync disks/north docker://FAR --workspace north-state");
    person.done(&format!("sync disks/south docker://{} --workspace south-state", other.host()));
    person.done(&format!("receipt docker://{}/team/app --to south.json", other.host()));
    // A month later there is more; the south tells what it has, and of the north it is known.
    person.configure("isc.yaml", &["app:1", "tool:1"]);
    let north = person.done("sync -c isc.yaml disks/north");
    assert!(north.out.contains("set 2 of \"north\"") && north.out.contains("delta"), "{north:?}");
    let south = person.done("sync -c isc.yaml disks/south --since south.json");
    assert!(south.out.contains("set 2 of \"south\"") && south.out.contains("delta on what docker://"), "{south:?}");
    person.done("sync disks/north docker://FAR --workspace north-state");
    person.done(&format!("sync disks/south docker://{} --workspace south-state", other.host()));
    for registry in [&person.far, &other] {
        assert_eq!(person.digest(registry, "team/tool:1"), person.digest(&person.near, "team/tool:1"));
    }
    let older = person.run("sync disks/north@1 docker://FAR --workspace north-state");
    assert!(older.code == Some(2) && older.err.contains("is older than set 2"), "{older:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enclave_gets_a_subset_from_a_central_registry() {
    let Some(mut person) = Person::new().await else { return };
    person.configure("isc.yaml", &["app:1", "tool:1"]);
    person.configure("subset.yaml", &["tool:1"]);
    person.done("sync -c isc.yaml docker://FAR/mirror");
    let (digest, origin) = (person.digest(&person.near, "team/tool:1"), person.near.host().to_owned());
    let enclave = Registry::start().expect("a registry");
    // From here on there is no way to where it all came from.
    person.near = enclave;
    let hop = person.done("sync -c subset.yaml docker://FAR/mirror hop");
    assert!(hop.out.contains("1 image"), "{hop:?}");
    person.done("sync -c subset.yaml hop docker://NEAR/inside");
    assert_eq!(person.digest(&person.near, "inside/team/tool:1"), digest);
    let listed = person.done("ls hop");
    assert!(
        listed.out.contains(&format!("{origin}/team/tool:1")) && !listed.out.contains("team/app"),
        "it is called as at its origin: {listed:?}"
    );
    // The file that lies beside the cluster resources of the central registry leads there, without it being named.
    let resources = person.path(".local/state/ocm/cluster-resources").read_dir().expect("cluster resources");
    let central = resources.map(|folder| folder.expect("a folder").path()).find(|folder| folder.to_string_lossy().ends_with("mirror"));
    std::fs::copy(central.expect("of FAR/mirror").join("registries.conf"), person.path("central.conf")).expect("a registries.conf");
    let by_file = person.done("sync -c subset.yaml hop2 --registries-conf central.conf --mirrors-only");
    assert!(by_file.out.contains("1 image"), "{by_file:?}");
    assert!(person.done("ls hop2").out.contains(&format!("{origin}/team/tool:1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_lost_is_written_once_more() {
    let Some(person) = Person::new().await else { return };
    person.configure("isc.yaml", &["app:1", "tool:1"]);
    person.done("sync -c isc.yaml disk");
    let volume = std::fs::read_dir(person.path("disk")).expect("an archive").map(|file| file.expect("a file").path());
    let volume = volume.into_iter().find(|path| path.to_string_lossy().ends_with(".v001.ocm.tar")).expect("a volume");
    let (bytes, name) = (std::fs::read(&volume).expect("bytes"), volume.file_name().expect("a name").to_owned());
    std::fs::remove_file(&volume).expect("lost");
    let missing = person.run("sync disk docker://FAR");
    assert!(missing.code != Some(0) && missing.err.contains("disk: there is no ocm archive here"), "{missing:?}");
    person.done("sync --again disk@1 again");
    assert!(std::fs::read(person.path("again").join(name)).expect("the volume") == bytes, "byte for byte");
    person.done("sync again docker://FAR");
    assert!(person.arrived("team/app:1", "team/app:1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_needs_the_disk_alone() {
    let Some(mut person) = Person::new().await else { return };
    person.configure("isc.yaml", &["app:1", "tool:1"]);
    person.done("sync -c isc.yaml disk");
    let digest = person.digest(&person.near, "team/app:1").expect("a digest");
    let origin = person.near.host().to_owned();
    // Neither the origins nor the state of who made it.
    person.near = Registry::start().expect("a registry");
    for state in [".local", ".config"] {
        let _none = std::fs::remove_dir_all(person.path(state));
    }
    assert!(person.done("verify disk").out.contains("sound"));
    let listed = person.done("ls disk");
    assert!(listed.out.contains(&format!("{origin}/team/app:1")) && listed.out.contains("root "), "{listed:?}");
    let image = person.done(&format!("inspect disk {origin}/team/app:1"));
    assert!(image.out.contains(&digest), "{image:?}");
    let why = person.done(&format!("why disk {digest}"));
    assert!(why.out.contains("team/app:1"), "{why:?}");
    let shown = person.done("config show disk");
    assert_eq!(shown.out, std::fs::read_to_string(person.path("isc.yaml")).expect("the configuration"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_fills_in_what_failed() {
    let Some(person) = Person::new().await else { return };
    person.configure("isc.yaml", &["app:1", "late:1"]);
    let partial = person.run("sync -c isc.yaml disk");
    assert!(partial.code == Some(3) && partial.out.contains("1 of 2 images") && partial.out.contains("PARTIAL"), "{partial:?}");
    let used = person.run("sync disk docker://FAR");
    assert!(used.code == Some(3) && person.arrived("team/app:1", "team/app:1"), "{used:?}");
    person.publish(7, "late:1", 50_000).await;
    let whole = person.done("sync -c isc.yaml disk");
    assert!(whole.out.contains("set 2 of \"disk\" · 2 images"), "{whole:?}");
    person.done("sync disk docker://FAR");
    assert!(person.arrived("team/late:1", "team/late:1"));
    assert!(person.done("sync -c isc.yaml disk").out.starts_with("nothing new"));
}

//! What is attached to images travels with them: the tags of cosign, in every workflow, with skopeo as the judge.
//!
//! **Invariants.** Signatures are made by openssl as cosign makes them; nothing of ocm takes part in that.
//!
//! *Not here:* the order of steps, referrers (unit tests of `plan`).

mod hazards;
mod lookups;

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ocm::image::{Attachment, Descriptor, Digest, Rename, Tagged};
use ocm::transfer::Class;
use ocm::workflow::sync::{Outcome, Signatures, Wish, Wishes};
use serde_json::json;

use crate::serve::Home;
use crate::support::images::{Image, Layout, fetch_manifest, push};
use crate::support::registry::Registry;
use crate::support::tools::{Tool, run};
use crate::workflows::lab::Lab;

/// The name that signatures are for.
const SIGNED_AS: &str = "quay.io/team/app";

/// A key, and a layout to make what is signed with it.
struct Signer {
    lab: Lab,
    layout: Layout,
}

impl Signer {
    fn new() -> Option<Self> {
        let (lab, layout) = (Lab::new(), Layout::new());
        let (key, public) = (lab.path("key.pem"), lab.path("cosign.pub"));
        run(Tool::find("openssl")?.args(["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", &key]));
        run(Tool::find("openssl")?.args(["ec", "-in", &key, "-pubout", "-out", &public]));
        Some(Self { lab, layout })
    }

    /// An image with a signature, as `cosign sign --key` makes it.
    fn sign(&self, subject: &Descriptor) -> Descriptor {
        let payload = json!({"critical": {"identity": {"docker-reference": SIGNED_AS}, "image": {"docker-manifest-digest": subject.digest},
            "type": "cosign container image signature"}, "optional": null})
        .to_string();
        std::fs::write(self.lab.folder("payload"), &payload).expect("a file");
        let made =
            Command::new("openssl").args(["dgst", "-sha256", "-sign", &self.lab.path("key.pem"), &self.lab.path("payload")]).output();
        let signature = BASE64.encode(made.expect("openssl runs").stdout);
        let mut layer = json!(self.layout.blob("application/vnd.dev.cosign.simplesigning.v1+json", payload.as_bytes()));
        layer["annotations"] = json!({"dev.cosignproject.cosign/signature": signature});
        self.image_of(&layer)
    }

    /// An image with one layer of any text.
    fn note(&self, text: &str) -> Descriptor {
        self.image_of(&json!(self.layout.blob("text/plain", text.as_bytes())))
    }

    fn image_of(&self, layer: &serde_json::Value) -> Descriptor {
        let config = self.layout.blob(
            "application/vnd.oci.image.config.v1+json",
            br#"{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#,
        );
        let kind = ocm::image::manifest::OCI_MANIFEST;
        self.layout.manifest(kind, &json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}))
    }

    /// Attaches to `subject`, by its tag in the repository `at`.
    async fn attach(&self, at: &str, kind: Attachment, subject: &Descriptor) -> Tagged {
        let root = if kind == Attachment::Signature { self.sign(subject) } else { self.note(&format!("{kind} of {}", subject.digest)) };
        let tag = kind.tag(&subject.digest).expect("a tag");
        push(&self.layout, &root, at, Some(&tag)).await;
        Tagged { tag, root }
    }

    /// An image at `at` under this tag.
    async fn image(&self, at: &str, tag: &str, seed: u64) -> Descriptor {
        let root = self.layout.image(&Image::generated(seed, 20_000));
        push(&self.layout, &root, at, Some(tag)).await;
        root
    }

    /// Whether skopeo finds a signature by the key beside an image. It brings the signature along with the image, and openssl checks it:
    /// Debian's skopeo looks for such signatures and has no verification of them.
    fn is_found_signed(&self, name: &str) -> Option<bool> {
        let (folder, copied) = (self.lab.folder("registries.d"), tempfile::tempdir().expect("a folder"));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("a.yaml"), "default-docker:\n  use-sigstore-attachments: true\n").expect("a file");
        let mut skopeo = Tool::find("skopeo")?;
        skopeo.arg("--insecure-policy").arg("--registries.d").arg(&folder);
        skopeo.args(["--override-os", "linux", "--override-arch", "arm64", "copy", "--quiet", "--src-tls-verify=false"]);
        run(skopeo.arg(format!("docker://{name}")).arg(format!("dir:{}", copied.path().display())));
        let Ok(found) = std::fs::read(copied.path().join("signature-1")) else { return Some(false) };
        let found = found.strip_prefix(b"\0sigstore-json\n").expect("a signature of sigstore");
        let found: serde_json::Value = serde_json::from_slice(found).expect("JSON");
        let bytes = |text: &serde_json::Value| BASE64.decode(text.as_str().expect("text")).expect("base64");
        let (payload, signature) = (copied.path().join("payload"), copied.path().join("signature"));
        std::fs::write(&payload, bytes(&found["payload"])).expect("a file");
        std::fs::write(&signature, bytes(&found["annotations"]["dev.cosignproject.cosign/signature"])).expect("a file");
        let mut openssl = Command::new("openssl");
        openssl.args(["dgst", "-sha256", "-verify", &self.lab.path("cosign.pub"), "-signature"]).arg(signature).arg(payload);
        Some(openssl.output().expect("openssl runs").status.success())
    }
}

/// A multi-arch image, all of which is signed, with an attestation and an SBOM.
struct Scene {
    signer: Signer,
    near: Registry,
    root: Descriptor,
    tagged: Vec<Tagged>,
}

impl Scene {
    async fn new() -> Option<Self> {
        let (signer, near) = (Signer::new()?, Registry::start()?);
        let child = |seed, platform| signer.layout.image(&Image::generated(seed, 20_000).platform(platform));
        let children = [child(1, "linux/amd64"), child(2, "linux/arm64")];
        let (root, at) = (signer.layout.index(&children), format!("{}/team/app", near.host()));
        push(&signer.layout, &root, &at, Some("1")).await;
        let mut tagged = Vec::new();
        for (kind, subject) in [
            (Attachment::Signature, &children[0]),
            (Attachment::Signature, &children[1]),
            (Attachment::Sbom, &children[1]),
            (Attachment::Signature, &root),
            (Attachment::Attestation, &root),
        ] {
            tagged.push(signer.attach(&at, kind, subject).await);
        }
        Some(Self { signer, near, root, tagged })
    }

    fn lab(&self) -> &Lab {
        &self.signer.lab
    }

    fn from(&self) -> String {
        format!("docker://{}/team/app:1", self.near.host())
    }

    async fn bring(&self, from: &str, to: &str) -> Outcome {
        let made = self.lab().sync(&[from], to).await.expect("a run");
        assert_eq!(made.class(), Class::Done, "{:?}", made.report);
        assert_eq!(made.signatures, Some(Signatures { signed: 1, unsigned: 0, unknown: 0 }), "{from} to {to}");
        made
    }

    /// Every tag of what is attached stands for the same in the repository `name` of a registry.
    async fn assert_there(&self, name: &str) {
        for tagged in &self.tagged {
            let there = fetch_manifest(name, &tagged.tag).await.map(|bytes| Digest::of(&bytes));
            assert_eq!(there, Some(tagged.root.digest), "{name}:{}", tagged.tag);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_finds_the_signatures_of_a_copy_that_came_straight_or_by_an_archive() {
    let (Some(scene), Some(far)) = (Scene::new().await, Registry::start()) else { return };
    let (disk, far) = (scene.lab().path("disk"), far.host());
    scene.bring(&scene.from(), &format!("docker://{far}/straight")).await;
    scene.bring(&scene.from(), &disk).await;
    let pushed = scene.bring(&disk, &format!("docker://{far}/mirror")).await;
    for place in ["straight", "mirror"] {
        let name = format!("{far}/{place}/team/app");
        scene.assert_there(&name).await;
        assert_ne!(scene.signer.is_found_signed(&format!("{name}:1")), Some(false), "{place}");
    }
    let receipt = std::fs::read_to_string(pushed.receipt.expect("a receipt")).expect("readable");
    for tagged in &scene.tagged {
        let manifest: serde_json::Value = serde_json::from_slice(&scene.signer.layout.read(&tagged.root.digest)).expect("JSON");
        let layer = manifest["layers"][0]["digest"].as_str().expect("a digest");
        assert!(receipt.contains(layer) && receipt.contains(&tagged.root.digest.to_string()), "{}", tagged.tag);
    }
    let unsigned = scene.signer.image(&format!("{far}/mirror/team/app"), "2", 9).await;
    assert_ne!(scene.signer.is_found_signed(&format!("{far}/mirror/team/app@{}", unsigned.digest)), Some(true), "the judge can say no");
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_finds_the_signatures_of_what_is_served_from_an_archive() {
    let Some(scene) = Scene::new().await else { return };
    let disk = scene.lab().path("disk");
    scene.bring(&scene.from(), &disk).await;
    let served = Home::new().serve(&[&disk]);
    let name = format!("{}/team/app", served.host());
    scene.assert_there(&name).await;
    assert_ne!(scene.signer.is_found_signed(&format!("{name}:1")), Some(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_go_through_layouts_of_many_images_and_of_one() {
    let (Some(scene), Some(far)) = (Scene::new().await, Registry::start()) else { return };
    for (at, layout) in [("many", scene.lab().path("many")), ("one", format!("{}:v1", scene.lab().path("one")))] {
        let layout = format!("oci:{layout}");
        scene.bring(&scene.from(), &layout).await;
        let again = scene.bring(&scene.from(), &layout).await;
        assert_eq!((again.plan.images, again.plan.images_there), (0, 1), "nothing is new");
        let pushed = scene.bring(&layout, &format!("docker://{}/{at}", far.host())).await;
        assert_eq!(pushed.report.items.len(), 1, "none of them is an image of its own");
        scene.assert_there(&format!("{}/{}", far.host(), pushed.report.items[0].name.repository().path())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_made_from_a_central_registry_has_them_where_images_are_renamed_too() {
    let (Some(scene), Some(central)) = (Scene::new().await, Registry::start()) else { return };
    let rename = Rename { repository: Some("other/path".into()), tag: Some("9".into()) };
    let wish = Wish { place: scene.from().parse().expect("a place"), rename, platforms: vec![] };
    let wishes = || Wishes { images: vec![wish.clone()], ..Wishes::default() };
    let to = format!("docker://{}/mirror", central.host());
    scene.lab().sync_with(&[] as &[&str], &to, |request| request.wishes = Some(wishes())).await.expect("pushed");
    scene.assert_there(&format!("{}/mirror/other/path", central.host())).await;
    let made = scene.lab().sync_with(&[&to], &scene.lab().path("disk"), |request| request.wishes = Some(wishes())).await.expect("a set");
    assert_eq!(made.report.items[0].item.tagged.len(), scene.tagged.len(), "{:?}", made.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subset_of_an_archive_has_the_signatures_of_what_is_in_it() {
    let Some(scene) = Scene::new().await else { return };
    let disk = scene.lab().path("disk");
    scene.bring(&scene.from(), &disk).await;
    let arm = |request: &mut ocm::workflow::sync::Request| request.platforms = vec!["linux/arm64".parse().expect("a platform")];
    let made = scene.lab().sync_with(&[&disk], &format!("oci:{}", scene.lab().path("arm")), arm).await.expect("a layout");
    let expected: Vec<&Tagged> = scene.tagged.iter().skip(1).collect();
    let mut found: Vec<&Tagged> = made.report.items[0].item.tagged.iter().collect();
    found.sort_by_key(|tagged| scene.tagged.iter().position(|one| one.tag == tagged.tag));
    assert_eq!(found.iter().map(|tagged| &tagged.tag).collect::<Vec<_>>(), expected.iter().map(|tagged| &tagged.tag).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_came_later_is_all_that_the_next_set_carries() {
    let (Some(signer), Some(near)) = (Signer::new(), Registry::start()) else { return };
    let at = format!("{}/team/app", near.host());
    let image = signer.image(&at, "1", 3).await;
    let (from, disk) = (format!("docker://{at}:1"), signer.lab.path("disk"));
    signer.lab.sync(&[&from], &disk).await.expect("set 1");
    signer.attach(&at, Attachment::Signature, &image).await;
    let second = signer.lab.sync(&[&from], &disk).await.expect("set 2").set.expect("something is new");
    assert!(second.generation == 2 && second.blob_bytes < 2_000, "{second:?}");
    assert!(signer.lab.sync(&[&from], &disk).await.expect("nothing new").set.is_none());
}

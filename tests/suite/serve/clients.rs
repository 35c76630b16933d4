//! The clients that people have, each as it comes.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use ocm::image::Digest;

use super::{Home, Layout, Served, archive_of_all_kinds};
use crate::support::tools::{Tool, run};

/// A server of all kinds of images, and the repository that they are in.
fn served() -> (Home, Layout, Served, String) {
    let (home, layout, _) = archive_of_all_kinds(&[]);
    let served = home.serve(&[&home.path("disk")]);
    let name = format!("{}/localhost/layout", served.host());
    (home, layout, served, name)
}

#[test]
fn skopeo_copies_an_image_of_every_kind() {
    let (home, layout, _served, name) = served();
    for kind in ["single", "index", "docker", "docker-list", "zstd", "tar", "large"] {
        let Some(mut skopeo) = Tool::find("skopeo") else { return };
        let out = home.path(&format!("out-{kind}"));
        skopeo.args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests", "--src-tls-verify=false"]);
        run(skopeo.arg(format!("docker://{name}:{kind}")).arg(format!("dir:{out}")));
        for blob in std::fs::read_dir(&out).expect("a folder").flatten() {
            let hex = blob.file_name().to_string_lossy().into_owned();
            if let Ok(digest) = format!("sha256:{hex}").parse::<Digest>() {
                assert!(std::fs::read(blob.path()).expect("a file") == layout.read(&digest), "{kind}: {digest}");
            }
        }
    }
    let mut skopeo = Tool::find("skopeo").expect("there a moment ago");
    let tags = run(skopeo.args(["list-tags", "--tls-verify=false"]).arg(format!("docker://{name}")));
    assert!(tags.contains("docker-list"), "{tags}");
}

#[test]
fn buildah_pulls_an_image() {
    let Some(mut buildah) = Tool::find("buildah") else { return };
    let (home, _, _served, name) = served();
    let store = |part: &str| home.path(&format!("store-{part}"));
    buildah.args(["--storage-driver", "vfs", "--root", &store("root"), "--runroot", &store("run")]);
    let policy = home.path("policy.json");
    std::fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).expect("written");
    buildah.args(["pull", "--quiet", "--tls-verify=false", "--signature-policy", &policy]);
    assert!(!run(buildah.arg(format!("{name}:large"))).trim().is_empty());
}

#[test]
fn podman_pulls_an_image() {
    let Some(mut podman) = Tool::find("podman") else { return };
    let (home, _, _served, name) = served();
    let store = |part: &str| home.path(&format!("store-{part}"));
    podman.args(["--storage-driver", "vfs", "--root", &store("root"), "--runroot", &store("run")]);
    let id = run(podman.args(["pull", "--quiet", "--tls-verify=false", &format!("{name}:large")]));
    assert!(!id.trim().is_empty());
}

#[test]
fn containerd_pulls_an_image() {
    let (Some(mut containerd), Some(mut ctr)) = (Tool::find("containerd"), Tool::find("ctr")) else { return };
    let (home, _, _served, name) = served();
    let (socket, place) = (home.path("containerd.sock"), |part: &str| home.path(&format!("containerd-{part}")));
    containerd.args(["--root", &place("root"), "--state", &place("state"), "--address", &socket]);
    let daemon = containerd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let _daemon = Ends(daemon);
    let is_up = |_| {
        std::thread::sleep(Duration::from_millis(50));
        Path::new(&socket).exists()
    };
    assert!((0..400).any(is_up), "containerd did not come up");
    let image = format!("{name}:large");
    let pulled =
        run(ctr.args(["--address", &socket, "--timeout", "60s", "images", "pull", "--plain-http", "--snapshotter", "native", &image]));
    assert!(pulled.contains("done"), "{pulled}");
}

/// A program that runs as long as the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn crane_lists_pulls_and_validates() {
    let (home, layout, served, name) = served();
    let crane = |arguments: &[&str]| Some(run(Tool::find("crane")?.args(arguments).arg("--insecure")));
    let Some(tags) = crane(&["ls", &name]) else { return };
    assert!(tags.lines().any(|tag| tag == "index"), "{tags}");
    assert!(crane(&["catalog", served.host()]).is_some_and(|names| names.contains("localhost/layout")));
    // It knows no zstd.
    crane(&["validate", "--remote", &format!("{name}:single")]);
    let out = home.path("pulled");
    crane(&["pull", "--format", "oci", &format!("{name}:index"), &out]);
    let blobs = Path::new(&out).join("blobs/sha256");
    for blob in std::fs::read_dir(blobs).expect("a folder").flatten() {
        let digest: Digest = format!("sha256:{}", blob.file_name().to_string_lossy()).parse().expect("a digest");
        assert!(digest.matches(&std::fs::read(blob.path()).expect("a file")));
    }
    let digest = crane(&["digest", &format!("{name}:single")]).expect("there a moment ago");
    assert!(layout.digests().contains(&digest.trim().parse().expect("a digest")));
}

#[test]
fn regctl_reads_blobs_and_referrers() {
    let (home, layout, served, name) = served();
    let regctl = |arguments: &[&str]| {
        let mut regctl = Tool::find("regctl")?;
        Some(run(regctl.env("HOME", home.path("regctl")).args(["--host", &format!("reg={},tls=disabled", served.host())]).args(arguments)))
    };
    let Some(referrers) = regctl(&["artifact", "list", &format!("{name}:index")]) else { return };
    assert!(referrers.contains("application/x.sig"), "{referrers}");
    regctl(&["image", "copy", &format!("{name}:nested"), &format!("ocidir://{}", home.path("copied"))]);
    let config = layout.digests().into_iter().find(|digest| layout.read(digest).starts_with(b"{\"architecture\"")).expect("a config");
    assert!(regctl(&["blob", "get", &name, &config.to_string()]).is_some_and(|blob| config.matches(blob.as_bytes())));
}

#[test]
fn oras_discovers_and_pulls() {
    let (home, _, _served, name) = served();
    let oras = |arguments: &[&str]| Some(run(Tool::find("oras")?.current_dir(home.folder.path()).args(arguments).arg("--plain-http")));
    let Some(found) = oras(&["discover", "--format", "json", &format!("{name}:index")]) else { return };
    assert!(found.contains("application/x.sig"), "{found}");
    oras(&["manifest", "fetch", &format!("{name}:artifact")]);
}

#[test]
fn curl_goes_on_where_it_stopped() {
    let Some(mut curl) = Tool::find("curl") else { return };
    let (home, layout, served, _) = served();
    let digest = layout.digests().into_iter().max_by_key(|digest| layout.read(digest).len()).expect("blobs");
    let (bytes, part) = (layout.read(&digest), home.path("part"));
    std::fs::write(&part, &bytes[..bytes.len() / 3]).expect("written");
    run(curl.args(["-sSf", "-C", "-", "-o", &part]).arg(served.url(&format!("/v2/layout/blobs/{digest}"))));
    assert!(std::fs::read(&part).expect("a file") == bytes);
}

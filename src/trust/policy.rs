//! [`Policy`]: what images must be signed by, and which part of it is for an image.
//!
//! **Invariants.** The most specific scope alone counts, in the order of containers-policy.json(5) and of the library behind podman and
//! skopeo. All requirements of a list must hold, and no list is empty.
//!
//! *Not here:* reading the file (`document`), holding an image against it (`judge`).

use std::collections::BTreeMap;
use std::path::Path;

use super::identity::Identity;
use super::openpgp::Keyring;
use super::sigstore::PublicKey;
use crate::image::Reference;

/// What an image must be.
#[derive(Debug)]
pub(super) enum Demand {
    /// Anything.
    Accept,
    /// Something that there is not.
    Reject,
    /// Signed by a key of OpenPGP.
    SignedBy(Keyring, Identity),
    /// Signed by a key of sigstore.
    SigstoreSigned(Vec<PublicKey>, Identity),
}

/// A demand, and where it stands.
#[derive(Debug)]
pub(super) struct Requirement {
    /// Such as `transports.docker["quay.io/org"][0] (signedBy)`.
    pub(super) place: String,
    pub(super) demand: Demand,
}

/// A policy.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) default: Vec<Requirement>,
    /// By transport, and in it by scope.
    pub(super) transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

/// By which rules an image is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Transport {
    /// As an image of a registry, by the name of its origin.
    Docker,
    /// As an image of a layout in this directory.
    Oci(std::path::PathBuf),
}

impl Policy {
    /// What is demanded of the image that is called `name`.
    pub(super) fn requirements(&self, transport: &Transport, name: &Reference) -> &[Requirement] {
        let (transport, scopes) = match transport {
            Transport::Docker => ("docker", scopes(name)),
            Transport::Oci(path) => ("oci", folders(path)),
        };
        let of = self.transports.get(transport);
        let find = |scope: &str| of.and_then(|of| of.get(scope));
        scopes.iter().find_map(|scope| find(scope)).or_else(|| find("")).unwrap_or(&self.default)
    }
}

/// The scopes that a name is in, most specific first: itself, its repository, the namespaces, the host, and domains that the host is in.
pub(super) fn scopes(name: &Reference) -> Vec<String> {
    let repository = name.repository().to_string();
    let mut found = vec![name.to_string()];
    let ends = std::iter::once(repository.len()).chain(repository.rmatch_indices('/').map(|(at, _)| at));
    found.extend(ends.map(|end| repository[..end].to_owned()));
    let host = name.repository().registry();
    let mut domain = host.split_once(':').map_or(host, |(host, _)| host);
    while let Some((_, parent)) = domain.split_once('.') {
        found.push(format!("*.{parent}"));
        domain = parent;
    }
    found
}

/// A directory and those that it is in, but for the root.
fn folders(path: &Path) -> Vec<String> {
    let all = path.ancestors().filter(|folder| folder.parent().is_some());
    all.map(|folder| folder.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(scopes: &[&str]) -> Policy {
        let one = |place: &str| vec![Requirement { place: place.to_owned(), demand: Demand::Reject }];
        let scopes = |transport: &str| {
            let of = scopes.iter().filter_map(|scope| scope.strip_prefix(transport));
            of.map(|scope| (scope.to_owned(), one(scope))).collect::<BTreeMap<_, _>>()
        };
        let transports = [("docker".to_owned(), scopes("docker:")), ("oci".to_owned(), scopes("oci:"))];
        Policy { default: one("default"), transports: transports.into() }
    }

    #[test]
    fn the_most_specific_scope_is_the_one() {
        let all = ["docker:q.io/a/b:1", "docker:q.io/a/b", "docker:q.io/a", "docker:q.io", "docker:*.io", "docker:", "docker:*.b.test"];
        for (name, found) in [
            ("q.io/a/b:1", "q.io/a/b:1"),
            ("q.io/a/b:2", "q.io/a/b"),
            ("q.io/a/bb:1", "q.io/a"),
            ("q.io/a/b/c:1", "q.io/a/b"),
            ("q.io/ab:1", "q.io"),
            ("other.io/x:1", "*.io"),
            ("other.io:5000/x:1", "*.io"),
            ("q.io:5000/a/b:1", "*.io"),
            ("a.b.test/x:1", "*.b.test"),
            ("x.a.b.test:1/x:1", "*.b.test"),
            ("b.test/x:1", ""),
            ("nginx", "*.io"),
        ] {
            let policy = policy(&all);
            let name = name.parse().expect("a name");
            assert_eq!(policy.requirements(&Transport::Docker, &name)[0].place, found, "{name}");
        }
    }

    #[test]
    fn a_transport_without_a_scope_that_fits_is_left_to_the_default() {
        let name: Reference = "q.io/a:1".parse().expect("a name");
        let found = |scopes: &[&str], transport: &Transport| policy(scopes).requirements(transport, &name)[0].place.clone();
        assert_eq!(found(&["docker:other.io"], &Transport::Docker), "default");
        let layout = Transport::Oci("/mnt/disk/layout".into());
        assert_eq!(found(&["docker:q.io", "oci:/mnt", "oci:/mnt/disk"], &layout), "/mnt/disk");
        assert_eq!(found(&["docker:q.io", "oci:"], &layout), "");
        assert_eq!(found(&["docker:q.io"], &layout), "default");
    }

    #[test]
    fn a_digest_is_a_scope_too() {
        let digest = crate::image::Digest::of(b"x");
        let name: Reference = format!("localhost:5000/a@{digest}").parse().expect("a name");
        assert_eq!(scopes(&name), [name.to_string(), "localhost:5000/a".into(), "localhost:5000".into()]);
    }
}

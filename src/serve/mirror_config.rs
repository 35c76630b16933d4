//! [`mirror_config`]: what tells the tools of a cluster that this registry has images of others.
//!
//! **Invariants.** An image is found under its full name, so that two hosts with the same path are never taken for each other. Hosts stand
//! in order: the same archive makes the same text.
//!
//! *Not here:* writing it anywhere.

use super::names::component;

/// For whom it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A file for `/etc/containers/registries.conf.d`: podman, buildah, skopeo, CRI-O.
    Containers,
    /// A `hosts.toml` for each host below `/etc/containerd/certs.d`.
    Containerd,
    /// An `ImageDigestMirrorSet` of OpenShift.
    Idms,
}

/// The text that sends who wants images of `hosts` to this registry, `mirror` (`host:port`), which speaks TLS or not.
#[must_use]
pub fn mirror_config(dialect: Dialect, hosts: &[String], mirror: &str, tls: bool) -> String {
    match dialect {
        Dialect::Containers => hosts.iter().map(|host| containers(host, mirror, tls)).collect::<Vec<_>>().join("\n"),
        Dialect::Containerd => hosts.iter().map(|host| containerd(host, mirror, tls)).collect::<Vec<_>>().join("\n"),
        Dialect::Idms => idms(hosts, mirror),
    }
}

fn containers(host: &str, mirror: &str, tls: bool) -> String {
    let insecure = if tls { "" } else { "insecure = true\n" };
    format!(
        "[[registry]]\nprefix = \"{host}\"\nlocation = \"{host}\"\n\n[[registry.mirror]]\nlocation = \"{mirror}/{}\"\n{insecure}",
        component(host)
    )
}

fn containerd(host: &str, mirror: &str, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let upstream = if host == "docker.io" { "registry-1.docker.io" } else { host };
    format!(
        "# /etc/containerd/certs.d/{host}/hosts.toml\nserver = \"https://{upstream}\"\n\n\
         [host.\"{scheme}://{mirror}/v2/{}\"]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n",
        component(host)
    )
}

fn idms(hosts: &[String], mirror: &str) -> String {
    let mut text = String::from(
        "apiVersion: config.openshift.io/v1\nkind: ImageDigestMirrorSet\nmetadata:\n  name: ocm-serve\nspec:\n  imageDigestMirrors:\n",
    );
    for host in hosts {
        text += &format!("  - source: {host}\n    mirrors:\n    - {mirror}/{}\n", component(host));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_sends_each_host_to_its_own_path() {
        let hosts = ["docker.io".to_owned(), "localhost:5000".to_owned()];
        let of = |dialect, tls| mirror_config(dialect, &hosts, "reg.lab:5000", tls);
        let containers = of(Dialect::Containers, false);
        assert!(containers.starts_with("[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n"), "{containers}");
        assert!(containers.contains("location = \"reg.lab:5000/localhost-5000\"\ninsecure = true\n"), "{containers}");
        assert!(!of(Dialect::Containers, true).contains("insecure"));
        let containerd = of(Dialect::Containerd, true);
        assert!(containerd.contains("server = \"https://registry-1.docker.io\""), "{containerd}");
        assert!(containerd.contains("[host.\"https://reg.lab:5000/v2/docker.io\"]"), "{containerd}");
        let idms = of(Dialect::Idms, true);
        assert!(idms.ends_with("  - source: localhost:5000\n    mirrors:\n    - reg.lab:5000/localhost-5000\n"), "{idms}");
    }
}

//! `operators`: catalogs of operators, and what is taken of them.
//!
//! *Not here:* whether a catalog has what is asked for (`openshift`).

use super::finding::{Findings, quoted};
use super::path::Path;
use super::platforms::PlatformEntry;
use super::rules::{entries, repository, tag, text, unique};
use super::wire::{At, wire};

wire! {
    /// A catalog of operators.
    pub Catalog {
        /// Name of the catalog's image, or oci:// and the path of an OCI layout.
        catalog: String = "catalog" (required),
        /// Repository path of the catalog at the destination, instead of its own.
        target_catalog: String = "targetCatalog",
        /// Tag of the catalog at the destination, instead of its own.
        target_tag: String = "targetTag",
        /// All versions of what is taken, not the newest of each channel alone.
        full: bool = "full",
        /// Has no effect: dependencies are never added.
        skip_dependencies: bool = "skipDependencies",
        /// Path of a CatalogSource that the one for the cluster is made after.
        target_catalog_source_template: String = "targetCatalogSourceTemplate",
        /// Platforms that are wanted of the catalog and its images; all where there is no list.
        platforms: Vec<At<PlatformEntry>> = "platforms",
        /// Packages that are taken; all where there is no list.
        packages: Vec<At<Package>> = "packages",
    }
}

wire! {
    /// A package of a catalog: an operator.
    pub Package {
        /// Name of the package.
        name: String = "name",
        /// Channel that is the default at the destination, instead of the catalog's.
        default_channel: String = "defaultChannel",
        /// Oldest version.
        min_version: String = "minVersion",
        /// Newest version.
        max_version: String = "maxVersion",
        /// Channels that are taken; all where there is no list.
        channels: Vec<At<PackageChannel>> = "channels",
    }
}

wire! {
    /// A channel of a package.
    pub PackageChannel {
        /// Name of the channel.
        name: String = "name",
        /// Oldest version.
        min_version: String = "minVersion",
        /// Newest version.
        max_version: String = "maxVersion",
    }
}

/// Reports what oc-mirror refuses, in its words.
pub(super) fn check(catalogs: &[At<Catalog>], path: &Path<'_>, findings: &mut Findings) {
    let named: Vec<At<Catalog>> = catalogs.iter().filter(|at| !text(at.value.catalog.as_ref()).is_empty()).cloned().collect();
    unique(&named, unique_name, |name| format!("catalog {}: duplicate found in configuration", quoted(name)), findings);
    for (index, At { value: catalog, .. }) in catalogs.iter().enumerate() {
        let path = path.index(index);
        repository(catalog.target_catalog.as_ref(), &path.key("targetCatalog"), findings);
        tag(catalog.target_tag.as_ref(), &path.key("targetTag"), findings);
        if let Some(skip) = catalog.skip_dependencies.as_ref().filter(|skip| skip.value) {
            findings.warning(skip.key, "skipDependencies has no effect: dependencies are never added").help("leave it out");
        }
        let who = format!("catalog {}", quoted(text(catalog.catalog.as_ref())));
        packages(entries(catalog.packages.as_ref()), &who, findings);
    }
}

/// What a catalog is called at the destination: two of one name would be one.
fn unique_name(catalog: &Catalog) -> String {
    let origin = text(catalog.catalog.as_ref());
    let origin = ["docker://", "oci://", "oci:"].iter().find_map(|scheme| origin.strip_prefix(scheme)).unwrap_or(origin);
    let (host, rest) = origin.split_once('/').unwrap_or(("", origin));
    let (path, version) = match rest.split_once('@').or_else(|| rest.rsplit_once(':')) {
        Some((path, version)) => (path, version),
        None => (rest, ""),
    };
    let or = |target: Option<&At<String>>, own: &str| target.map_or(own, |target| target.value.as_str()).to_owned();
    let (path, version) = (or(catalog.target_catalog.as_ref(), path), or(catalog.target_tag.as_ref(), version));
    [host, &path].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/") + ":" + &version
}

fn packages(packages: &[At<Package>], who: &str, findings: &mut Findings) {
    let duplicate = |name: &str| format!("{who}: duplicate package entry {}", quoted(name));
    unique(packages, |package| text(package.name.as_ref()).to_owned(), duplicate, findings);
    for At { value: package, .. } in packages {
        let who = format!("{who}: operator {}", quoted(text(package.name.as_ref())));
        let is_range = range(&who, package.min_version.as_ref(), package.max_version.as_ref(), findings);
        channels(entries(package.channels.as_ref()), &who, is_range, findings);
    }
}

fn channels(channels: &[At<PackageChannel>], who: &str, package_is_range: bool, findings: &mut Findings) {
    let duplicate = |name: &str| format!("{who}: duplicate channel entry {}", quoted(name));
    unique(channels, |channel| text(channel.name.as_ref()).to_owned(), duplicate, findings);
    for At { value: channel, place, .. } in channels {
        let name = format!("{who}: channel {}", quoted(text(channel.name.as_ref())));
        let is_range = range(&name, channel.min_version.as_ref(), channel.max_version.as_ref(), findings);
        if is_range && package_is_range {
            let mixed = "mixing both filtering by minVersion/maxVersion and filtering by channel minVersion/maxVersion is not allowed";
            findings.error(*place, format!("{who}: {mixed}"));
        }
    }
}

/// Reports versions that are none; whether there are any.
fn range(who: &str, min: Option<&At<String>>, max: Option<&At<String>>, findings: &mut Findings) -> bool {
    let mut there = false;
    for (name, version) in [("minVersion", min), ("maxVersion", max)] {
        let Some(At { value, place, .. }) = version.filter(|version| !version.value.is_empty()) else { continue };
        there = true;
        if !is_version(value) {
            findings.error(*place, format!("{who}: {name} {} must respect semantic versioning notation", quoted(value)));
        }
    }
    there
}

/// Whether this is a semantic version, of which minor and patch may be left out (as Masterminds/semver has it).
fn is_version(text: &str) -> bool {
    let (rest, build) = split(text.strip_prefix('v').unwrap_or(text), '+');
    let (numbers, pre) = split(rest, '-');
    let is_number = |part: &str| !part.is_empty() && part.len() <= 19 && part.bytes().all(|b| b.is_ascii_digit());
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let leads_with_zero = |part: &str| part.len() > 1 && part.starts_with('0') && is_number(part);
    numbers.split('.').count() <= 3
        && numbers.split('.').all(is_number)
        && pre.is_none_or(|pre| pre.split('.').all(|part| is_word(part) && !leads_with_zero(part)))
        && build.is_none_or(|build| build.split('.').all(is_word))
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_may_be_short() {
        for good in ["1", "1.2", "v1.2.3", "1.2.3-rc.1+b.05", "4.12.0-202301042257", "01.2"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "abc", "1.2.3.4", "1..2", "1.2.3-", "1.2.3-01", "v", "1.2.x", "1.2 "] {
            assert!(!is_version(bad), "{bad}");
        }
    }

    #[test]
    fn a_catalog_is_known_by_its_name_at_the_destination() {
        let at = |text: &str| Some(At { value: text.to_owned(), place: Default::default(), key: Default::default() });
        let name = |catalog, path: Option<&str>, tag: Option<&str>| {
            unique_name(&Catalog {
                catalog: at(catalog),
                target_catalog: path.and_then(at),
                target_tag: tag.and_then(at),
                ..Catalog::default()
            })
        };
        assert_eq!(name("docker://r.io/a/b:v1", None, None), "r.io/a/b:v1");
        assert_eq!(name("r.io:5000/a/b:v1", Some("c"), Some("v2")), "r.io:5000/c:v2");
        assert_eq!(name("r.io/a@sha256:12", None, Some("v2")), "r.io/a:v2");
        assert_eq!(name("oci:///dir/x", Some("c/d"), None), "c/d:");
    }
}

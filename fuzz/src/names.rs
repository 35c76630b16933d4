//! What registries and people say: manifests, references, platforms, places.

use std::str::FromStr;

use bytes::Bytes;
use ocm::image::place::Location;
use ocm::image::{Manifest, Platform, Reference, Verified};

/// Reads a manifest; its bytes are kept as they came.
pub fn manifest(bytes: &[u8]) {
    let own = Verified::own(Bytes::copy_from_slice(bytes));
    if let Ok(read) = Manifest::parse(own, "") {
        assert_eq!(read.bytes().as_ref(), bytes, "a manifest is kept as it came");
    }
}

/// An image, an index, an artifact.
pub fn manifests() -> Vec<Vec<u8>> {
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let config = format!(r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":2}}"#);
    let image = "application/vnd.oci.image.manifest.v1+json";
    let child = format!(
        r#"{{"mediaType":"{image}","digest":"{digest}","size":2,"platform":{{"os":"linux","architecture":"arm","variant":"v7"}}}}"#
    );
    vec![
        format!(r#"{{"schemaVersion":2,"mediaType":"{image}","config":{config},"layers":[{config}],"subject":{child}}}"#).into_bytes(),
        format!(r#"{{"schemaVersion":2,"manifests":[{child},{child}],"annotations":{{"a":"b"}}}}"#).into_bytes(),
        format!(r#"{{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":null,"artifactType":"x/y","subject":{child}}}"#)
            .into_bytes(),
    ]
}

/// Reads a reference, a place and a platform; what is accepted reads the same when it is written out.
pub fn name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    same_again::<Reference>(text);
    same_again::<Platform>(text);
    let _ = Location::from_str(text);
}

/// Names as people type them.
pub fn names() -> Vec<Vec<u8>> {
    let digest = "a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let names = ["nginx", "quay.io/org/app:1.2", "[::1]:5000/a/b:x", digest, "docker://r/a", "oci:/x:y", "file://d@3", "linux/arm64/v8"];
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

fn same_again<T: FromStr + ToString + PartialEq + std::fmt::Debug>(text: &str) {
    if let Ok(read) = T::from_str(text) {
        let written = read.to_string();
        assert_eq!(T::from_str(&written).ok(), Some(read), "{text:?} was written as {written:?}");
    }
}

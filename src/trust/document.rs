//! [`read`]: a policy out of a file in the form of containers-policy.json(5).
//!
//! **Invariants.** What cannot be enforced is refused, before any work, with the file and the place: a field, a type or a kind of key that
//! is not known is never passed over. Keys are read here, once.
//!
//! *Not here:* which file it is ([`Trust`](super::Trust)), what requirements mean (`policy`, `judge`).

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::files;
use super::identity::Identity;
use super::json::{Fields, Json, Why};
use super::openpgp::Keyring;
use super::policy::{Demand, Policy, Requirement};
use super::sigstore::PublicKey;
use crate::image::name::is_host;
use crate::image::{Hasher, Reference, Repository};

/// Reads the policy in `text`. All bytes of keys go through `keys`, too.
pub(super) fn read(text: &[u8], keys: &mut Hasher) -> Why<Policy> {
    let mut top = Json::read(text)?.object("policy")?;
    let mut reader = Reader { keys };
    let default = reader.requirements(top.need("default")?, "default")?;
    let mut transports = BTreeMap::new();
    if let Some(all) = top.take("transports") {
        for (transport, scopes) in all.object("transports")?.rest() {
            let place = format!("transports.{transport}");
            let mut read = BTreeMap::new();
            for (scope, list) in scopes.object(&place)?.rest() {
                check_scope(&transport, &scope).map_err(|why| format!("{place}[{scope:?}]: {why}"))?;
                let requirements = reader.requirements(list, &format!("{place}[{scope:?}]"))?;
                read.insert(scope, requirements);
            }
            transports.insert(transport, read);
        }
    }
    top.end()?;
    Ok(Policy { default, transports })
}

/// Paths are absolute, and the root is the default of its transport.
fn check_scope(transport: &str, scope: &str) -> Why<()> {
    match (transport, scope) {
        (_, "") => Ok(()),
        ("oci" | "dir", "/") => Err("write \"\" for all directories".to_owned()),
        ("oci" | "dir", path) if !path.starts_with('/') => Err("it is no absolute path".to_owned()),
        _ => Ok(()),
    }
}

struct Reader<'a> {
    keys: &'a mut Hasher,
}

impl Reader<'_> {
    fn requirements(&mut self, list: Json, place: &str) -> Why<Vec<Requirement>> {
        let list = list.list(place)?;
        if list.is_empty() {
            return Err(format!("{place}: the list is empty; write insecureAcceptAnything or reject"));
        }
        let one = |(index, json): (usize, Json)| self.requirement(json.object(&format!("{place}[{index}]"))?);
        list.into_iter().enumerate().map(one).collect()
    }

    fn requirement(&mut self, mut fields: Fields) -> Why<Requirement> {
        let kind = fields.text("type")?;
        let place = format!("{} ({kind})", fields.place());
        let demand = match kind.as_str() {
            "insecureAcceptAnything" => Demand::Accept,
            "reject" => Demand::Reject,
            "signedBy" => self.signed_by(&mut fields)?,
            "sigstoreSigned" => self.sigstore_signed(&mut fields)?,
            _ => return Err(format!("{}: type {kind:?} is not supported", fields.place())),
        };
        fields.end()?;
        Ok(Requirement { place, demand })
    }

    fn signed_by(&mut self, fields: &mut Fields) -> Why<Demand> {
        let kind = fields.text("keyType")?;
        if kind != "GPGKeys" {
            return Err(format!("{}: keyType {kind:?} is not supported, GPGKeys is", fields.place()));
        }
        let mut ring = Keyring::default();
        for (name, key) in self.key_files(fields, &["keyPath", "keyPaths", "keyData"])? {
            ring.add(&key).map_err(|why| format!("{name}: {why}"))?;
        }
        ring.check().map_err(|why| format!("{}: {why}", fields.place()))?;
        Ok(Demand::SignedBy(ring, identity(fields)?))
    }

    fn sigstore_signed(&mut self, fields: &mut Fields) -> Why<Demand> {
        let certificates = ["fulcio", "pki", "rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas"];
        if let Some(name) = certificates.iter().find(|name| fields.take(name).is_some()) {
            return Err(format!("{}: {name} is not supported: certificates and logs cannot be checked, keys can", fields.place()));
        }
        let files = self.key_files(fields, &["keyPath", "keyPaths", "keyData", "keyDatas"])?;
        let keys = files.into_iter().map(|(name, key)| PublicKey::read(&key).map_err(|why| format!("{name}: {why}")));
        Ok(Demand::SigstoreSigned(keys.collect::<Why<_>>()?, identity(fields)?))
    }

    /// What the one field of these says that is there, each with its name.
    fn key_files(&mut self, fields: &mut Fields, names: &[&str]) -> Why<Vec<(String, Vec<u8>)>> {
        let mut there = names.iter().filter_map(|name| Some((*name, fields.take(name)?)));
        let (Some((name, value)), None) = (there.next(), there.next()) else {
            return Err(format!("{}: there must be one of {}", fields.place(), names.join(", ")));
        };
        let place = format!("{}.{name}", fields.place());
        let values = match name.ends_with('s') {
            true => value.list(&place)?,
            false => vec![value],
        };
        if values.is_empty() {
            return Err(format!("{place}: the list is empty"));
        }
        let texts = values.into_iter().map(|value| value.text(&place)).collect::<Why<Vec<_>>>()?;
        texts.into_iter().map(|text| self.key_file(&place, name, &text)).collect()
    }

    fn key_file(&mut self, place: &str, name: &str, text: &str) -> Why<(String, Vec<u8>)> {
        let (name, key) = if name.starts_with("keyPath") {
            let read = files::read(Path::new(text)).map_err(|error| format!("{place}: {error}"))?;
            (format!("{place}: {text}"), read.ok_or_else(|| format!("{place}: {text}: it is not there"))?)
        } else {
            (place.to_owned(), STANDARD.decode(text).map_err(|error| format!("{place}: it is no base64: {error}"))?)
        };
        self.keys.update(&key);
        Ok((name, key))
    }
}

fn identity(fields: &mut Fields) -> Why<Identity> {
    let Some(json) = fields.take("signedIdentity") else { return Ok(Identity::RepoDigestOrExact) };
    let mut fields = json.object(&format!("{}.signedIdentity", fields.place()))?;
    let wrong = |fields: &Fields, name: &str, why: &str| format!("{}.{name}: {why}", fields.place());
    let identity = match fields.text("type")?.as_str() {
        "matchExact" => Identity::Exact,
        "matchRepoDigestOrExact" => Identity::RepoDigestOrExact,
        "matchRepository" => Identity::Repository,
        "exactReference" => {
            let name: Option<Reference> = fields.text("dockerReference")?.parse().ok();
            let whole = name.filter(|name| name.tag().is_some() || name.digest().is_some());
            Identity::ExactReference(whole.ok_or_else(|| wrong(&fields, "dockerReference", "it is no name with a tag or digest"))?)
        }
        "exactRepository" => {
            let name: Option<Repository> = fields.text("dockerRepository")?.parse().ok();
            Identity::ExactRepository(name.ok_or_else(|| wrong(&fields, "dockerRepository", "it is no repository"))?)
        }
        "remapIdentity" => Identity::Remap { prefix: prefix(&mut fields, "prefix")?, signed_prefix: prefix(&mut fields, "signedPrefix")? },
        other => return Err(format!("{}: type {other:?} is not known", fields.place())),
    };
    fields.end()?;
    Ok(identity)
}

fn prefix(fields: &mut Fields, name: &str) -> Why<String> {
    let text = fields.text(name)?;
    let is_repository = text.split_once('/').is_some_and(|(host, path)| Repository::new(host, path).is_ok());
    match is_repository || is_host(&text) {
        true => Ok(text),
        false => Err(format!("{}.{name}: {text:?} is no HOST[:PORT][/PATH]", fields.place())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Why<Policy> {
        read(text.as_bytes(), &mut Hasher::sha256())
    }

    #[test]
    fn a_policy_without_keys_is_read() {
        let text = r#"{"default":[{"type":"reject"}],"transports":{"docker":{"":[{"type":"insecureAcceptAnything"}]},"other":{}}}"#;
        let policy = parse(text).expect("a policy");
        assert_eq!(policy.transports["docker"][""][0].place, "transports.docker[\"\"][0] (insecureAcceptAnything)");
    }

    #[test]
    fn what_cannot_be_enforced_is_refused_with_its_place() {
        let signed = |kind: &str, fields: &str| format!(r#"{{"default":[{{"type":"{kind}",{fields}}}]}}"#);
        let cosign = |fields: &str| signed("sigstoreSigned", fields);
        for (text, why) in [
            ("{}".to_owned(), "policy: it has no field \"default\""),
            (r#"{"default":[]}"#.into(), "default: the list is empty"),
            (r#"{"default":[{}]}"#.into(), "default[0]: it has no field \"type\""),
            (r#"{"default":[{"type":"reject","x":1}]}"#.into(), "default[0]: field \"x\" is not known"),
            (r#"{"default":[{"type":"signedBaseLayer"}]}"#.into(), "default[0]: type \"signedBaseLayer\" is not supported"),
            (r#"{"default":[{"type":"reject"}],"default":[]}"#.into(), "key \"default\" is there twice"),
            (r#"{"default":[{"type":"reject"}],"Transports":{}}"#.into(), "policy: field \"Transports\" is not known"),
            (r#"{"default":[{"type":"reject"}],"transports":{"oci":{"x":[{"type":"reject"}]}}}"#.into(), "no absolute path"),
            (
                r#"{"default":[{"type":"reject"}],"transports":{"docker":{"a.b":[]}}}"#.into(),
                "transports.docker[\"a.b\"]: the list is empty",
            ),
            (signed("signedBy", r#""keyType":"X509Certificates""#), "default[0]: keyType \"X509Certificates\" is not supported"),
            (signed("signedBy", r#""keyType":"GPGKeys""#), "default[0]: there must be one of keyPath, keyPaths, keyData"),
            (signed("signedBy", r#""keyType":"GPGKeys","keyPath":"/x","keyData":"eA==""#), "there must be one of"),
            (signed("signedBy", r#""keyType":"GPGKeys","keyPath":"/no/such/key""#), "keyPath: /no/such/key: it is not there"),
            (signed("signedBy", r#""keyType":"GPGKeys","keyPaths":[]"#), "default[0].keyPaths: the list is empty"),
            (signed("signedBy", r#""keyType":"GPGKeys","keyData":"!""#), "default[0].keyData: it is no base64"),
            (signed("signedBy", r#""keyType":"GPGKeys","keyData":"bm9uc2Vuc2U=""#), "default[0].keyData: it is no OpenPGP packet"),
            (cosign(r#""keyData":"bm9uc2Vuc2U=""#), "default[0].keyData: there is no PEM block"),
            (cosign(r#""fulcio":{}"#), "default[0]: fulcio is not supported"),
            (cosign(r#""keyPath":"/x","rekorPublicKeyData":"x""#), "rekorPublicKeyData is not supported"),
            (cosign(r#""pki":{}"#), "default[0]: pki is not supported"),
            ("x".into(), "line 1"),
        ] {
            let error = parse(&text).err().unwrap_or_default();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn identities_are_checked_when_they_are_read() {
        let read = |text: &str| {
            let mut fields =
                Json::read(format!(r#"{{"signedIdentity":{text}}}"#).as_bytes()).and_then(|json| json.object("r")).expect("fields");
            identity(&mut fields).map(|identity| identity.to_string())
        };
        for (text, is) in [
            (r#"{"type":"matchExact"}"#, Ok("matchExact")),
            (r#"{"type":"exactReference","dockerReference":"nginx:1"}"#, Ok("exactReference docker.io/library/nginx:1")),
            (r#"{"type":"exactReference","dockerReference":"nginx"}"#, Err("it is no name with a tag or digest")),
            (r#"{"type":"exactRepository","dockerRepository":"q.io/a:1"}"#, Err("it is no repository")),
            (r#"{"type":"remapIdentity","prefix":"q.io:1/a","signedPrefix":"b.io"}"#, Ok("remapIdentity q.io:1/a to b.io")),
            (r#"{"type":"remapIdentity","prefix":"q.io/a:1","signedPrefix":"b.io"}"#, Err("\"q.io/a:1\" is no HOST")),
            (r#"{"type":"matchAll"}"#, Err("r.signedIdentity: type \"matchAll\" is not known")),
            (r#"{"type":"matchExact","prefix":""}"#, Err("field \"prefix\" is not known")),
        ] {
            match (read(text), is) {
                (Ok(read), Ok(is)) => assert_eq!(read, is),
                (Err(error), Err(is)) => assert!(error.contains(is), "{error}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}

//! [`Challenge`]: what a registry asks for before it lets somebody in (`WWW-Authenticate`, RFC 9110, 11.6.1).
//!
//! **Invariants.** Any header parses; what cannot be understood is passed over.
//!
//! *Not here:* answering it (`token`).

/// A challenge that ocm can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token of the service at `realm`.
    Bearer {
        /// The URL of the token service.
        realm: String,
        /// What the registry is called there.
        service: Option<String>,
        /// What the token must allow.
        scope: Option<String>,
    },
    /// User and password with each request.
    Basic,
}

impl Challenge {
    /// The best challenge of all headers: a token before a password, each the first of its kind.
    pub(super) fn best<'a>(headers: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let all: Vec<Self> = headers.flat_map(|header| parse(&String::from_utf8_lossy(header))).collect();
        let bearer = all.iter().find(|challenge| matches!(challenge, Self::Bearer { .. }));
        bearer.or(all.first()).cloned()
    }
}

/// A challenge of any scheme, while it is read.
struct Raw {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Raw {
    fn understood(self) -> Option<Challenge> {
        let parameter = |name: &str| self.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
        match self.scheme.to_ascii_lowercase().as_str() {
            "basic" => Some(Challenge::Basic),
            "bearer" => Some(Challenge::Bearer { realm: parameter("realm")?, service: parameter("service"), scope: parameter("scope") }),
            _ => None,
        }
    }
}

/// All challenges of one header that can be answered.
fn parse(header: &str) -> Vec<Challenge> {
    let mut found: Vec<Raw> = Vec::new();
    let mut text = Text(header);
    while text.skip_to_word() {
        let word = text.word();
        if text.take('=') {
            let value = text.value();
            if let Some(challenge) = found.last_mut() {
                challenge.parameters.push((word, value));
            }
        } else {
            found.push(Raw { scheme: word, parameters: Vec::new() });
        }
    }
    found.into_iter().filter_map(Raw::understood).collect()
}

/// What is left of a header.
struct Text<'a>(&'a str);

impl Text<'_> {
    /// Passes over everything that cannot begin a word; whether there is one.
    fn skip_to_word(&mut self) -> bool {
        self.0 = self.0.trim_start_matches(|c| !is_token_character(c));
        !self.0.is_empty()
    }

    fn word(&mut self) -> String {
        let end = self.0.find(|c| !is_token_character(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word.to_owned()
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.0.trim_start_matches([' ', '\t']).strip_prefix(wanted);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// A value: a quoted string with escapes, or everything up to a space or a comma.
    fn value(&mut self) -> String {
        if !self.take('"') {
            let text = self.0.trim_start_matches([' ', '\t']);
            let (value, rest) = text.split_at(text.find([' ', '\t', ',']).unwrap_or(text.len()));
            self.0 = rest;
            return value.to_owned();
        }
        let mut value = String::new();
        let mut characters = self.0.chars();
        while let Some(c) = characters.next() {
            match c {
                '"' => break,
                '\\' => value.extend(characters.next()),
                c => value.push(c),
            }
        }
        self.0 = characters.as_str();
        value
    }
}

fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.into(), service: service.map(Into::into), scope: scope.map(Into::into) }
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        for (header, expected) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull,push""#,
                vec![bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:library/nginx:pull,push"))],
            ),
            ("bearer REALM=https://a.test/t?x=1 , service = b", vec![bearer("https://a.test/t?x=1", Some("b"), None)]),
            (r#"Basic realm="a, b \"c\" \\", Bearer realm="x\"y,z""#, vec![Challenge::Basic, bearer("x\"y,z", None, None)]),
            (r#"Negotiate abc==, Basic realm="Registry""#, vec![Challenge::Basic]),
            (r#"Digest realm="x", nonce="y",Basic"#, vec![Challenge::Basic]),
            (r#"Bearer service="no realm""#, vec![]),
            (r#"Bearer realm="never closed"#, vec![bearer("never closed", None, None)]),
            (r#"Bearer realm="ends in an escape\"#, vec![bearer("ends in an escape", None, None)]),
            ("", vec![]),
            ("=,=\"\\", vec![]),
            ("Bearer realm=", vec![bearer("", None, None)]),
        ] {
            assert_eq!(parse(header), expected, "{header}");
        }
    }

    #[test]
    fn a_token_is_preferred_to_a_password() {
        let headers: [&[u8]; 2] = [b"Basic realm=x", b"Bearer realm=y"];
        assert_eq!(Challenge::best(headers.into_iter()), Some(bearer("y", None, None)));
        assert_eq!(Challenge::best(headers.into_iter().take(1)), Some(Challenge::Basic));
        assert_eq!(Challenge::best(std::iter::empty()), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_the_parser_fail(header: Vec<u8>) {
            Challenge::best(std::iter::once(header.as_slice()));
        }

        #[test]
        fn what_was_quoted_is_read_back(realm in "[^\u{0}-\u{1f}]{0,40}") {
            let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
            let read = parse(&format!("Basic realm=\"a\", Bearer service=s,realm=\"{quoted}\""));
            prop_assert_eq!(read, vec![Challenge::Basic, bearer(&realm, Some("s"), None)]);
        }
    }
}

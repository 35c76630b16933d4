//! [`Credentials`]: who somebody is for a repository, from all places that know.
//!
//! **Invariants.** The longest key that fits a repository wins within a file, and the first file that knows anything
//! wins over later ones. A file that a person named is the only one that is read.
//!
//! *Not here:* what a file looks like inside (`authfile`).

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tokio::sync::Mutex;

use super::authfile::{AuthFile, Login, Said, Shape, normal};
use super::helper;
use crate::environment::Environment;
use crate::error::{Error, Result};

/// Where docker keeps what belongs to its hub.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// Who a person says that they are.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Who {
    /// What files and helpers know counts.
    #[default]
    Known,
    /// Nobody.
    Nobody,
    /// Somebody with a password.
    Password {
        /// Who.
        user: String,
        /// The secret.
        password: String,
    },
    /// Whoever has this token of the registry.
    Token(String),
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Who(hidden)")
    }
}

/// All that is known of who somebody is.
pub(super) struct Credentials {
    who: Who,
    files: Vec<AuthFile>,
    environment: Environment,
    /// What helpers said, by helper and server: asking one costs a process.
    asked: Mutex<BTreeMap<(String, String), Option<Login>>>,
}

/// A login and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) login: Login,
    /// The file, as a person calls it.
    pub(super) place: String,
}

impl Credentials {
    /// Reads the files that are there, unless a person says who they are.
    pub(super) fn load(environment: &Environment, who: Who, authfile: Option<PathBuf>) -> Result<Self> {
        let files = if who == Who::Known { Self::read(environment, authfile)? } else { Vec::new() };
        Ok(Self { who, files, environment: environment.clone(), asked: Mutex::default() })
    }

    fn read(environment: &Environment, authfile: Option<PathBuf>) -> Result<Vec<AuthFile>> {
        let named = authfile.or_else(|| environment.path("REGISTRY_AUTH_FILE"));
        match named {
            Some(path) => {
                let absent = || Error::usage(format!("auth file {}: it is not there", path.display())).hint("name another with --authfile");
                let there = path.try_exists().map_err(|error| Error::io(format!("auth file {}", path.display()), &error))?;
                there.then_some(()).ok_or_else(absent)?;
                Ok(AuthFile::read(&path, Shape::Auths)?.into_iter().collect())
            }
            None => {
                let is_open = |(path, _): &(PathBuf, Shape)| !is_closed(path);
                let read = places(environment).into_iter().filter(is_open).map(|(path, shape)| AuthFile::read(&path, shape));
                read.filter_map(Result::transpose).collect()
            }
        }
    }

    /// The login for a repository of `host`, or for the host alone.
    pub(super) async fn find(&self, host: &str, repository: Option<&str>) -> Result<Option<Found>> {
        let said = |login| Ok(Some(Found { login, place: "the command line".to_owned() }));
        match self.who.clone() {
            Who::Known => {}
            Who::Nobody => return Ok(None),
            Who::Password { user, password } => return said(Login::Password { user, password }),
            Who::Token(token) => return said(Login::RegistryToken(token)),
        }
        for file in &self.files {
            if let Some(login) = self.find_in(file, host, repository).await? {
                return Ok(Some(Found { login, place: file.path().display().to_string() }));
            }
        }
        Ok(None)
    }

    /// Lets go of what helpers said, because a registry did not take it: they may know something newer.
    pub(super) async fn forget(&self) {
        self.asked.lock().await.clear();
    }

    async fn find_in(&self, file: &AuthFile, host: &str, repository: Option<&str>) -> Result<Option<Login>> {
        for key in keys(host, repository) {
            match file.said(&key)? {
                Some(Said::Login(login)) => return Ok(Some(login)),
                Some(Said::Helper(helper)) => {
                    if let Some(login) = self.ask(file, &helper.name, &helper.server).await? {
                        return Ok(Some(login));
                    }
                }
                None => {}
            }
        }
        let Some(store) = file.store() else { return Ok(None) };
        let host = normal(host);
        let server = if host == "docker.io" { HUB_SERVER } else { &host };
        self.ask(file, store, server).await
    }

    async fn ask(&self, file: &AuthFile, name: &str, server: &str) -> Result<Option<Login>> {
        let mut asked = self.asked.lock().await;
        let key = (name.to_owned(), server.to_owned());
        if let Some(known) = asked.get(&key) {
            return Ok(known.clone());
        }
        let login = helper::get(name, server, &self.environment, helper::TIME_LIMIT).await;
        let login = login.map_err(|error| error.context(format!("auth file {}", file.path().display())))?;
        asked.insert(key, login.clone());
        Ok(login)
    }
}

/// The places that credentials are looked for in, in their order.
fn places(environment: &Environment) -> Vec<(PathBuf, Shape)> {
    let home = environment.path("HOME");
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let runtime = environment.path("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json"));
    let all = [
        (runtime.or_else(|| home.as_ref().map(|_| without_runtime_dir())), Shape::Auths),
        (environment.path("XDG_CONFIG_HOME").or_else(|| in_home(".config")).map(|dir| dir.join("containers/auth.json")), Shape::Auths),
        (environment.path("DOCKER_CONFIG").or_else(|| in_home(".docker")).map(|dir| dir.join("config.json")), Shape::Auths),
        (in_home(".dockercfg"), Shape::Entries),
    ];
    all.into_iter().filter_map(|(path, shape)| Some((path?, shape))).collect()
}

/// Where podman keeps logins of users without a session, such as root's.
fn without_runtime_dir() -> PathBuf {
    format!("/run/containers/{}/auth.json", rustix::process::getuid().as_raw()).into()
}

/// Whether a file lies in a folder that this user may not look into: nobody has logged in as this user there.
fn is_closed(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// The keys that fit a repository, the longest first: `host/a/b`, `host/a`, `host`.
fn keys(host: &str, repository: Option<&str>) -> Vec<String> {
    let host = normal(host);
    let mut keys = vec![host.clone()];
    let mut longest = host;
    for part in repository.into_iter().flat_map(|path| path.split('/')) {
        longest = format!("{longest}/{part}");
        keys.push(longest.clone());
    }
    keys.reverse();
    keys
}

#[cfg(test)]
mod tests {
    use super::super::tests::program::install;
    use super::*;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }

    /// An auth file with one password a key.
    fn auths(entries: &[(&str, &str)]) -> String {
        let entries: Vec<String> =
            entries.iter().map(|(key, password)| format!(r#""{key}": {{"username": "u", "password": "{password}"}}"#)).collect();
        format!(r#"{{"auths": {{{}}}}}"#, entries.join(","))
    }

    async fn password(credentials: &Credentials, host: &str, repository: Option<&str>) -> Option<String> {
        match credentials.find(host, repository).await.expect("an answer")?.login {
            Login::Password { password, .. } => Some(password),
            Login::IdentityToken(token) | Login::RegistryToken(token) => Some(token),
        }
    }

    #[tokio::test]
    async fn the_longest_key_that_fits_wins() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("auth.json");
        let keys = [
            ("quay.io", "host"),
            ("quay.io/org", "org"),
            ("quay.io/org/app", "app"),
            ("https://index.docker.io/v1/", "hub"),
            ("docker.io/team", "team"),
        ];
        write(&path, &auths(&keys));
        let credentials = Credentials::load(&Environment::default(), Who::Known, Some(path)).expect("a file");
        for (host, repository, expected) in [
            ("quay.io", Some("org/app"), Some("app")),
            ("quay.io", Some("org/app/deep"), Some("app")),
            ("quay.io", Some("org/apple"), Some("org")),
            ("quay.io", Some("organic/app"), Some("host")),
            ("quay.io", None, Some("host")),
            ("quay.io:443", Some("org/app"), None),
            ("docker.io", Some("library/nginx"), Some("hub")),
            ("docker.io", Some("team/x"), Some("team")),
            ("registry-1.docker.io", None, Some("hub")),
            ("ghcr.io", Some("org/app"), None),
        ] {
            assert_eq!(password(&credentials, host, repository).await.as_deref(), expected, "{host} {repository:?}");
        }
    }

    #[tokio::test]
    async fn places_are_looked_at_in_their_order() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |path: &str| dir.path().join(path);
        let home = dir.path().display().to_string();
        let environment = Environment::from_iter([("HOME", home.clone()), ("XDG_RUNTIME_DIR", format!("{home}/run"))]);
        write(&at(".dockercfg"), r#"{"reg": {"username": "u", "password": "dockercfg"}, "old": {"auth": "dTpvbGQ="}}"#);
        for (path, named) in
            [(".docker/config.json", "docker"), (".config/containers/auth.json", "config"), ("run/containers/auth.json", "runtime")]
        {
            write(&at(path), &auths(&[("reg", named)]));
            let credentials = Credentials::load(&environment, Who::Known, None).expect("files");
            assert_eq!(password(&credentials, "reg", None).await.as_deref(), Some(named));
            assert_eq!(password(&credentials, "old", None).await.as_deref(), Some("old"));
        }
        write(&at("named.json"), &auths(&[("other", "named")]));
        let by_variable = Environment::from_iter([("HOME", home.clone()), ("REGISTRY_AUTH_FILE", format!("{home}/named.json"))]);
        for credentials in
            [Credentials::load(&environment, Who::Known, Some(at("named.json"))), Credentials::load(&by_variable, Who::Known, None)]
        {
            let credentials = credentials.expect("a file");
            assert_eq!(password(&credentials, "other", None).await.as_deref(), Some("named"));
            assert_eq!(password(&credentials, "reg", None).await, None);
        }
    }

    #[tokio::test]
    async fn a_named_file_must_be_there_and_others_need_not() {
        let nowhere = Environment::from_iter([("HOME", "/nonexistent"), ("XDG_RUNTIME_DIR", "/nonexistent")]);
        let credentials = Credentials::load(&nowhere, Who::Known, None).expect("nothing is no error");
        assert_eq!(credentials.find("quay.io", None).await.expect("an answer"), None);
        let error = Credentials::load(&nowhere, Who::Known, Some("/nonexistent/auth.json".into())).err().expect("it was named");
        assert_eq!(error.to_string(), "auth file /nonexistent/auth.json: it is not there");
        let dir = tempfile::tempdir().expect("a directory");
        write(&dir.path().join("empty.json"), "\n");
        assert!(Credentials::load(&nowhere, Who::Known, Some(dir.path().join("empty.json"))).is_ok());
    }

    #[tokio::test]
    async fn what_a_person_says_goes_before_all_files() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("auth.json");
        write(&path, &auths(&[("reg", "of the file")]));
        let said = Who::Password { user: "me".into(), password: "said".into() };
        for (who, expected) in [(Who::Nobody, None), (said, Some("said")), (Who::Token("token".into()), Some("token"))] {
            let credentials = Credentials::load(&Environment::default(), who, Some(path.clone())).expect("no file is read");
            let login = credentials.find("reg", None).await.expect("an answer");
            assert_eq!(login.as_ref().map(|found| found.place.as_str()), expected.map(|_| "the command line"));
            let found = if login.is_some() { password(&credentials, "reg", None).await } else { None };
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[tokio::test]
    async fn helpers_are_asked_once_for_their_key_and_stores_for_the_rest() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = dir.path().join("log");
        let text = format!("#!/bin/sh\nread -r server\necho $server >> {}\n", log.display())
            + r#"case $server in absent) echo credentials not found; exit 1;; esac; echo "{\"Username\":\"u\",\"Secret\":\"of $server\"}""#;
        install(dir.path(), &text);
        let path = dir.path().join("config.json");
        write(&path, r#"{"auths": {"plain": {"auth": "dTpw"}}, "credHelpers": {"https://ecr/": "test"}, "credsStore": "test"}"#);
        let environment = Environment::from_iter([("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))]);
        let credentials = Credentials::load(&environment, Who::Known, Some(path)).expect("a file");
        for (host, expected) in [
            ("ecr", Some("of https://ecr/")),
            ("ecr", Some("of https://ecr/")),
            ("plain", Some("p")),
            ("docker.io", Some("of https://index.docker.io/v1/")),
            ("absent", None),
        ] {
            assert_eq!(password(&credentials, host, Some("a/b")).await.as_deref(), expected, "{host}");
        }
        credentials.forget().await;
        password(&credentials, "ecr", None).await;
        let asked = std::fs::read_to_string(log).expect("a log");
        assert_eq!(asked.lines().collect::<Vec<_>>(), ["https://ecr/", "https://index.docker.io/v1/", "absent", "https://ecr/"]);
    }
}

//! Asks a `docker-credential-NAME` program for a login (docker-credential-helpers' protocol).
//!
//! **Invariants.** A name can never be a path. What a helper says is bounded in size and time; that it knows no
//! credentials is an answer, anything else that fails is an error.
//!
//! *Not here:* when a helper is asked (`credentials`).

use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::authfile::Login;
use super::refusal::quote;
use crate::environment::Environment;
use crate::error::{Error, Result};

/// How long a helper may take: it may have to ask a cloud.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The longest answer that is read, in bytes.
const MAX_BYTES: u64 = 256 << 10;

/// What a helper calls the user of an identity token.
const TOKEN_USER: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// The login for `server` that the helper `name` knows.
pub(super) async fn get(name: &str, server: &str, environment: &Environment, limit: Duration) -> Result<Option<Login>> {
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !is_name {
        return Err(Error::usage(format!("credential helper {name:?}: this is no name of a helper")));
    }
    let program = format!("docker-credential-{name}");
    let (success, output) = match tokio::time::timeout(limit, run(&program, server, environment)).await {
        Ok(ran) => ran?,
        Err(_) => return Err(Error::failed(format!("{program}: it did not answer within {} s", limit.as_secs_f32()))),
    };
    if !success {
        let text = String::from_utf8_lossy(&output);
        let absent = text.contains("credentials not found");
        return if absent { Ok(None) } else { Err(Error::failed(format!("{program}: it failed for {server}: {}", quote(&text)))) };
    }
    let answer: Answer =
        serde_json::from_slice(&output).map_err(|_| Error::failed(format!("{program}: its answer for {server} is no login")))?;
    Ok(match (answer.username.as_str(), answer.secret.as_str()) {
        ("", _) | (_, "") => None,
        (TOKEN_USER, _) => Some(Login::IdentityToken(answer.secret)),
        _ => Some(Login::Password { user: answer.username, password: answer.secret }),
    })
}

/// Runs `program get` with the server on its standard input; whether it succeeded, and what it wrote.
async fn run(program: &str, server: &str, environment: &Environment) -> Result<(bool, Vec<u8>)> {
    let told = |error: std::io::Error| {
        let error = Error::io(program, &error);
        error.hint("install it, or remove it from the auth file (credHelpers, credsStore)")
    };
    let mut command = Command::new(program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    if let Some(path) = environment.get("PATH") {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(told)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper may answer without reading, and close its end.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_BYTES + 1).read_to_end(&mut output).await.map_err(told)?;
    }
    if output.len() as u64 > MAX_BYTES {
        return Err(Error::failed(format!("{program}: its answer is longer than {MAX_BYTES} bytes")));
    }
    let status = child.wait().await.map_err(told)?;
    Ok((status.success(), output))
}

#[cfg(test)]
mod tests {
    use super::super::tests::program::install;
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    /// A directory with one helper, `docker-credential-test`, and the environment that finds it.
    fn helper(script: &str) -> (tempfile::TempDir, Environment) {
        let dir = tempfile::tempdir().expect("a directory");
        install(dir.path(), &format!("#!/bin/sh\n{script}\n"));
        let environment = Environment::from_iter([("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))]);
        (dir, environment)
    }

    #[tokio::test]
    async fn a_helper_answers_with_a_login_a_token_or_nothing() {
        let password = Login::Password { user: "me".into(), password: "quay.io-get".into() };
        for (script, login) in [
            (r#"read -r server; echo "{\"ServerURL\":\"x\",\"Username\":\"me\",\"Secret\":\"$server-$1\"}""#, Some(password)),
            (r#"echo '{"Username":"<token>","Secret":"id"}'"#, Some(Login::IdentityToken("id".into()))),
            (r#"echo '{"Username":"","Secret":""}'"#, None),
            ("echo credentials not found in native keychain; exit 1", None),
        ] {
            let (_dir, environment) = helper(script);
            let found = get("test", "quay.io", &environment, LIMIT).await.expect(script);
            assert!(found == login, "{script}");
        }
    }

    #[tokio::test]
    async fn a_helper_that_fails_is_told_by_its_name() {
        for (script, why) in [
            ("echo 'no network'; exit 2", "docker-credential-test: it failed for quay.io: no network"),
            ("echo '{\"Username\":\"u\"'", "docker-credential-test: its answer for quay.io is no login"),
            ("exec cat /dev/zero", "docker-credential-test: its answer is longer than 262144 bytes"),
        ] {
            let (_dir, environment) = helper(script);
            let error = get("test", "quay.io", &environment, LIMIT).await.expect_err(script).to_string();
            assert_eq!(error, why);
        }
        let (_dir, environment) = helper("exec sleep 20");
        let error = get("test", "quay.io", &environment, Duration::from_millis(200)).await.expect_err("too slow").to_string();
        assert_eq!(error, "docker-credential-test: it did not answer within 0.2 s");
    }

    #[tokio::test]
    async fn a_helper_is_never_a_path_and_must_be_there() {
        let (_dir, environment) = helper("true");
        for name in ["", "../test", "a/b", "a b", "a\0b"] {
            let error = get(name, "quay.io", &environment, LIMIT).await.expect_err(name).to_string();
            assert!(error.ends_with("this is no name of a helper"), "{error}");
        }
        let error = get("absent", "quay.io", &environment, LIMIT).await.expect_err("no such program");
        assert!(error.to_string().starts_with("docker-credential-absent: No such file"), "{error}");
        assert!(error.way_out().is_some_and(|hint| hint.starts_with("install it")));
    }
}

//! The connection against a real registry, `docker-registry`, with TLS, a password and HTTP/2.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream;

use super::certificate::{Pair, home, params};
use crate::error::{Error, Kind, Result};
use crate::image::{Body, Digest, Repository};
use crate::store::registry::connection::{Access, Connection, Options, Request, RequestBody, StatusCode, Url};

/// `me:secret`, as htpasswd(1) writes it with the lowest cost.
const HTPASSWD: &str = "me:$2b$04$YM2cEjPhFFqy1NeY0DqyNuvG1bzAfc18.g/NTBdAG9IK0YQe78Rbq\n";
const BASE64: &str = "bWU6c2VjcmV0";

/// How often a blob's parts are made, and how large each is.
const PARTS: usize = 300;
const PART_BYTES: usize = 100_000;

/// A registry that ends with its test.
struct Registry {
    child: Child,
    host: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    /// Starts one that shows `pair`; `None` where the program is not installed.
    async fn start(dir: &Path, pair: &Pair) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let host = format!("127.0.0.1:{port}");
        for (name, text) in [("cert.pem", pair.pem()), ("key.pem", pair.key_pem()), ("htpasswd", HTPASSWD.to_owned())] {
            std::fs::write(dir.join(name), text).expect("a file");
        }
        let at = dir.display();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {at}/data}}}}\n\
             auth: {{htpasswd: {{realm: test, path: {at}/htpasswd}}}}\n\
             http: {{addr: '{host}', secret: x, tls: {{certificate: {at}/cert.pem, key: {at}/key.pem}}}}\n"
        );
        std::fs::write(dir.join("config.yml"), config).expect("a file");
        let mut program = Command::new("docker-registry");
        program.arg("serve").arg(dir.join("config.yml")).stdout(Stdio::null()).stderr(Stdio::null());
        let child = program.spawn().ok()?;
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(&host).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "docker-registry does not come up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(Self { child, host })
    }
}

fn part(number: usize) -> Bytes {
    Bytes::from(vec![(number % 251) as u8; PART_BYTES])
}

/// A blob whose parts are made as they are asked for; `broken` breaks off in the middle.
fn blob(broken: bool) -> RequestBody {
    let parts = move || {
        stream::iter((0..PARTS).map(move |number| match broken && number == PARTS / 2 {
            true => Err(Error::damaged("volume 3 has a flipped bit")),
            false => Ok(part(number)),
        }))
    };
    let length = (PARTS * PART_BYTES) as u64;
    RequestBody::Stream { length, make: Arc::new(move || async move { Ok(Body::new(length, "blob", parts())) }.boxed()) }
}

/// Uploads a blob in one piece.
async fn push(connection: &Connection, digest: Digest, body: RequestBody) -> Result<StatusCode> {
    let repository = Repository::new("reg.test", "team/app").expect("a repository");
    let access = Access::push(&repository);
    let begun = connection.send(Request::post("/v2/team/app/blobs/uploads/", access.clone())).await?;
    assert_eq!(begun.status(), StatusCode::ACCEPTED);
    let mut url: Url = begun.url().join(begun.header("location").expect("a location")).expect("a URL");
    url.query_pairs_mut().append_pair("digest", &digest.to_string());
    Ok(connection.send(Request::put(url, access).body(body)).await?.status())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr, reason = "a test that cannot run says so")]
async fn blobs_go_to_a_real_registry_and_come_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let pair = Pair::self_signed(params(&["127.0.0.1"], true));
    let Some(registry) = Registry::start(dir.path(), &pair).await else {
        assert!(std::env::var_os("CI").is_none(), "docker-registry is not installed");
        eprintln!("skipped: docker-registry is not installed");
        return;
    };
    let (_home, environment) = home(&registry.host, &[("ca.crt", pair.pem())]);
    let authfile = dir.path().join("auth.json");
    std::fs::write(&authfile, format!(r#"{{"auths": {{"{}": {{"auth": "{BASE64}"}}}}}}"#, registry.host)).expect("a file");
    let options = Options { environment, authfile: Some(authfile), ..Options::default() };
    let connection = Connection::new(&registry.host, &options).expect("a connection");
    let whole: Vec<u8> = (0..PARTS).flat_map(part).collect();
    let digest = Digest::of(&whole);

    let error = push(&connection, digest, blob(true)).await.expect_err("the source broke off");
    assert_eq!((error.kind(), error.to_string()), (Kind::Damaged, "volume 3 has a flipped bit".to_owned()));
    assert_eq!(push(&connection, digest, blob(false)).await.expect("an answer"), StatusCode::CREATED);

    let get = Request::get(format!("/v2/team/app/blobs/{digest}"), Access::Pull("team/app".into()));
    let response = connection.send(get).await.expect("an answer");
    let content = response.bytes(whole.len() as u64, "blob").await.expect("content");
    assert!(content == whole);
    let absent = connection.send(Request::get("/v2/team/app/manifests/none", Access::Pull("team/app".into()))).await.expect("an answer");
    let error = absent.refusal("team/app:none").await.to_string();
    assert!(error.starts_with("team/app:none: manifest unknown (404 MANIFEST_UNKNOWN from 127.0.0.1:"), "{error}");
}

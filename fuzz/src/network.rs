//! What comes over a network: challenges of registries, and requests of clients.

use ocm::serve::understood;
use ocm::store::registry::connection::can_answer;

/// Reads a challenge.
pub fn challenge(bytes: &[u8]) {
    let _ = can_answer(bytes);
}

/// Challenges of registries, and what looks like one.
pub fn challenges() -> Vec<Vec<u8>> {
    let challenges = [
        r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull""#,
        r#"Basic realm="a \"quoted\" realm", Bearer realm=x,service=, scope"#,
        "Negotiate, NTLM abc==, Digest qop=\"auth\"",
    ];
    challenges.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// Takes the first line as a path and the second as a `Range`, over blobs of several sizes.
pub fn request(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (path, range) = text.split_once('\n').unwrap_or((&text, ""));
    for size in [0, 1, 1000, u64::MAX] {
        let asked = understood(path, range, size).unwrap_or_default();
        assert!(asked.iter().all(|part| part.start < part.end && part.end <= size), "{asked:?} of {size} bytes");
        let all = asked.iter().try_fold(0u64, |sum, part| sum.checked_add(part.end - part.start));
        assert!(all.is_some_and(|all| all <= size), "more is asked for than there is");
    }
}

/// Requests of every kind.
pub fn requests() -> Vec<Vec<u8>> {
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let requests = [
        format!("/v2/a/b/blobs/{digest}\nbytes=0-9,20-,-5"),
        format!("/v2/a%2Fb/manifests/{digest}\nbytes=18446744073709551615-18446744073709551616"),
        "/v2/%2e%2e/%00/tags/list?n=1&last=%F0\nbytes = 1 - 2".to_owned(),
        format!("/v2/a/referrers/{digest}\nitems=1-2"),
    ];
    requests.map(String::into_bytes).to_vec()
}

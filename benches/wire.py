"""What the logs of registries say of a run: blobs that went over the wire, and requests by their kind."""

import collections
import re

KINDS = (
    ("/manifests/sha256-", "signature"),
    ("/referrers/", "referrers"),
    ("/manifests/", "manifest"),
    ("/blobs/uploads/", "upload"),
    ("/blobs/", "blob"),
)


def blobs_fetched(requests):
    """How often each path of a blob was fetched, by its digest, and all bytes of them."""
    fetches = [(path.rsplit("/", 1)[1], sent) for method, path, _, sent in requests if method == "GET" and "/blobs/" in path]
    return collections.Counter(digest for digest, _ in fetches), sum(sent for _, sent in fetches)


def blobs_pushed(requests):
    """How often each blob was brought in full, by its digest."""
    done = (re.search(r"digest=(sha256(?::|%3A)[0-9a-f]+)", path) for method, path, status, _ in requests if method == "PUT" and status == 201)
    return collections.Counter(found[1].replace("%3A", ":") for found in done if found)


def mounts(requests):
    return sum(method == "POST" and "mount=" in path and status == 201 for method, path, status, _ in requests)


def by_method(requests):
    return in_words(method for method, *_ in requests)


def by_kind(requests):
    """Requests by method and what was asked for; signatures by their tags."""
    kind = lambda path: next((name for part, name in KINDS if part in path), "other")
    return in_words(f"{method} {kind(path)}" for method, path, *_ in requests)


def in_words(names):
    return ", ".join(f"{number} {name}" for name, number in collections.Counter(names).most_common()) or "none"

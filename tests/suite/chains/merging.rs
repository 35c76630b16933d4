//! One base of a chain: it gives what the chain gives, and takes its place.

use ocm::error::{Error, Kind, Result};
use ocm::workflow::sync::{Outcome, ParentOutcome};

use super::generations::{Generations, NAME, layer};
use crate::support::images::{Image, Layout};

#[tokio::test(flavor = "multi_thread")]
async fn a_base_made_of_20_random_generations_gives_every_blob_that_the_chain_gives() {
    let mut chain = Generations::new(7);
    let mut newest = chain.next().await;
    for _ in 1..20 {
        newest = chain.next().await;
    }
    assert!(newest.chain > 1, "{}", newest.chain);
    let before = chain.lab.snapshot("disk");
    let base = chain.lab.merge(&[("disk", None)], "base").await.expect("a merge").set.expect("a base");
    assert_eq!((base.generation, base.lineage.as_str(), base.chain), (20, "disk", 0));
    assert!(base.parent.is_none() && base.id != newest.id);
    assert_eq!(base.merged_from.len() as u64, newest.chain + 1);
    assert_eq!(chain.contents("base", None), chain.contents("disk", None));
    assert_eq!(chain.lab.snapshot("disk"), before, "the chain stays as it is");
    let of_chain = chain.blobs("disk").await;
    assert_eq!(chain.blobs("base").await, of_chain);
    assert!(of_chain.len() > 10, "{}", of_chain.len());
    // It takes the place of the chain, here and for the lineage as a whole.
    let more = Layout::at(&chain.lab.folder("more"));
    more.tag(&format!("{NAME}:more"), &more.image(&Image::of([layer(1).gzip(), layer(41).gzip()])));
    for (name, to, generation) in [(Some("disk".to_owned()), "third", 21), (None, "base", 22)] {
        let name = |request: &mut ocm::workflow::sync::Request| request.archive.lineage = name;
        let from = [format!("oci:{}", chain.lab.path("more"))];
        let next = chain.lab.sync_with(&from, &chain.lab.path(to), name).await.expect("a run").set.expect("a set");
        let Some(ParentOutcome::Set { id, .. }) = &next.parent else { panic!("{:?}", next.parent) };
        assert_eq!((id, next.generation, next.chain), (&base.id, generation, 1), "{to}");
    }
}

fn assert_refused(refused: Result<Outcome>, kind: Kind, words: &[&str]) -> Error {
    let error = refused.expect_err("refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(words.iter().all(|word| error.to_string().contains(word)) && error.way_out().is_some(), "{error:?}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_lacks_a_set_is_refused_with_its_name_and_found_beside() {
    let mut chain = Generations::new(3);
    for _ in 0..4 {
        chain.next().await;
    }
    std::fs::create_dir(chain.lab.folder("other")).expect("a folder");
    for (path, content) in chain.lab.snapshot("disk") {
        if path.to_string_lossy().contains(".g0002-") {
            std::fs::write(chain.lab.folder("other").join(path.file_name().expect("a name")), content).expect("written");
            std::fs::remove_file(path).expect("moved");
        }
    }
    let error = assert_refused(chain.lab.merge(&[("disk", None)], "base").await, Kind::Needed, &["set 4 needs set 2"]);
    assert!(error.notes().iter().any(|note| note.contains("bring:   set 2")), "{error:?}");
    assert!(!chain.lab.folder("base").exists(), "nothing is written");
    let base = chain.lab.merge(&[("disk", None), ("other", None)], "base").await.expect("a merge").set.expect("a base");
    assert_eq!((base.generation, base.merged_from), (4, vec![4, 3, 2, 1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_is_not_put_beside_what_it_is_made_of() {
    let mut chain = Generations::new(5);
    chain.next().await;
    chain.next().await;
    assert_refused(chain.lab.merge(&[("disk", None)], "disk").await, Kind::Usage, &["set 2 of \"disk\" is there already"]);
    assert_refused(chain.lab.merge(&[("nothing", None)], "base").await, Kind::Usage, &["there is no set here"]);
}

//! Every state that a chain went through is there, and however it is merged, the same comes of it.

use super::generations::Generations;
use crate::support::layers::Random;

/// How many generations a chain has here; `OCM_NIGHTLY` has the number that is promised.
fn generations() -> u64 {
    if std::env::var_os("OCM_NIGHTLY").is_some() { 20 } else { 7 }
}

/// A chain of random generations in `disk`.
async fn chain(seed: u64) -> Generations {
    let mut chain = Generations::new(seed);
    for _ in 0..generations() {
        chain.next().await;
    }
    chain
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_random_generations_is_read_through_its_chain_as_from_a_base_of_its_own() {
    let chain = chain(11).await;
    for generation in 1..=generations() {
        let (state, base) = (chain.state(generation), format!("base-{generation}"));
        assert!(chain.blobs(&format!("disk@{generation}")).await == state, "{generation}");
        chain.write(generation, &base).await;
        assert!(chain.blobs(&base).await == state, "{generation}");
        assert_eq!(chain.contents("disk", Some(generation as u32)), chain.contents(&base, None), "{generation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_a_chain_and_came_back_is_read_in_every_set_of_it() {
    let mut chain = Generations::new(0);
    // The second version is a patch of the first; the first, when it comes back, one of the second.
    for version in [2, 10, 2] {
        chain.next_of(&[version]).await;
    }
    for generation in 1..=3 {
        assert!(chain.blobs(&format!("disk@{generation}")).await == chain.state(generation), "{generation}");
        assert!(chain.recovered(&format!("disk@{generation}")).await == chain.state(generation), "{generation}");
    }
}

/// Where a chain is merged in two parts: `OCM_NIGHTLY` tries every place.
fn splits(seed: u64) -> Vec<u64> {
    match std::env::var_os("OCM_NIGHTLY") {
        Some(_) => (1..generations()).collect(),
        None => vec![1 + Random::new(seed).below(generations() - 1)],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_merged_in_parts_gives_what_it_gives_when_it_is_merged_at_once() {
    let mut chain = chain(13).await;
    chain.lab.merge(&[("disk", None)], "at-once").await.expect("a merge");
    let (state, at_once) = (chain.state(generations()), chain.contents("at-once", None));
    assert!(chain.blobs("at-once").await == state);
    for split in splits(17) {
        // Who has the first part alone knows of no later set.
        chain.lab.settings.workspace = Some(chain.lab.folder(&format!("workspace-{split}")));
        let (part, whole) = (format!("part-{split}"), format!("whole-{split}"));
        chain.lab.merge(&[("disk", Some(split as u32))], &part).await.expect("a merge");
        assert!(chain.blobs(&part).await == chain.state(split), "{split}");
        for generation in split + 1..=generations() {
            let set = chain.write(generation, &part).await;
            assert_eq!(u64::from(set.generation), generation, "it goes on after the set that the base stands for");
        }
        chain.lab.merge(&[(&part, None)], &whole).await.expect("a merge");
        assert_eq!(chain.contents(&whole, None), at_once, "{split}");
        assert!(chain.blobs(&whole).await == state, "{split}");
    }
}

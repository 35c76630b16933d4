//! Long chains of sets: when a person is told, when there is an end, and how one is made a base.

mod generations;
mod merging;
mod states;

use ocm::error::Kind;
use ocm::workflow::sync::{Request, SetOutcome};

use crate::support::images::{Image, Layout};
use crate::support::layers::Layer;
use crate::workflows::lab::{Heard, Lab};

/// A lab with a layout that gets one image more for each set.
struct Chain {
    lab: Lab,
    layout: Layout,
    made: u64,
}

impl Chain {
    fn new() -> Self {
        let lab = Lab::new();
        let layout = Layout::at(&lab.folder("layout"));
        Self { lab, layout, made: 0 }
    }

    async fn try_next(&mut self, options: impl FnOnce(&mut Request)) -> ocm::error::Result<SetOutcome> {
        self.made += 1;
        let root = self.layout.image(&Image::of([Layer::bytes(format!("layer {}", self.made))]));
        let name = format!("registry.example/team/app:{}", self.made);
        self.layout.tag(&name, &root);
        let from = format!("oci:{}:{name}", self.lab.path("layout"));
        self.lab.sync_with(&[from], &self.lab.path("disk"), options).await.map(|made| made.set.expect("a set"))
    }

    async fn next(&mut self) -> SetOutcome {
        self.try_next(|_| {}).await.expect("a set")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_told_from_16_on_and_ends_before_64() {
    let mut chain = Chain::new();
    let heard = Heard::of(&mut chain.lab);
    for length in 0..64 {
        assert_eq!(chain.next().await.chain, length);
        let told = heard.has(&[&format!("chain of {length} earlier sets"), "--full", "ocm merge"]);
        assert_eq!(told, length >= 16, "{length}: {:?}", heard.lines());
    }
    let before = chain.lab.archive("disk").len();
    let error = chain.try_next(|_| {}).await.expect_err("number 64");
    assert_eq!(error.kind(), Kind::Usage, "{error}");
    assert!(error.way_out().is_some_and(|way| way.contains("--full") && way.contains("ocm merge")), "{error:?}");
    assert_eq!(chain.lab.archive("disk").len(), before, "nothing is written");
    let base = chain.try_next(|request| request.archive.full = true).await.expect("a base");
    assert_eq!((base.generation, base.chain, base.parent), (65, 0, None));
    // The chain begins anew, and all of it can be read from that base on.
    assert_eq!(chain.next().await.chain, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_needs_nothing_earlier_ends_the_chain() {
    let mut chain = Chain::new();
    chain.next().await;
    assert_eq!(chain.next().await.chain, 1);
    // The configuration of an image holds the digests of its layers, so nothing of this one is there already.
    let alone = chain.try_next(|request| request.archive.only = true).await.expect("a set");
    assert!(alone.parent.is_some());
    assert_eq!(alone.chain, 0);
    assert_eq!(chain.next().await.chain, 1);
}

//! Tests of [`super::collect`].

use super::*;
use crate::image::Attachment;
use crate::monitor::Silent;
use crate::plan::lab::{Lab, Trouble, name, platform};

fn ask(lab: &Lab, what: What) -> Ask {
    Ask::new(Arc::new(lab.clone()), what)
}

fn named(lab: &Lab, names: &[&str]) -> Vec<Ask> {
    names.iter().map(|text| ask(lab, What::Name(name(text)))).collect()
}

fn below(prefix: &str) -> Choices {
    let target = Target::Below { host: "reg:5000".into(), prefix: prefix.into(), keep_host: false, most_components: None };
    Choices { target: Some(target), jobs: 2, ..Choices::default() }
}

async fn all(asks: Vec<Ask>, choices: &Choices) -> Result<Vec<Wanted>> {
    let monitor: SharedMonitor = Arc::new(Silent);
    collect(asks, choices, &monitor).await.map(|collected| collected.wanted)
}

fn names(wanted: &[Wanted]) -> Vec<String> {
    wanted.iter().map(|wanted| wanted.name.to_string()).collect()
}

#[tokio::test]
async fn a_name_without_tag_means_latest_and_is_resolved_once() {
    let lab = Lab::default();
    let root = lab.image("quay.io/a:latest", &["x"]);
    let wanted = all(named(&lab, &["quay.io/a", "quay.io/a:latest"]), &below("m")).await.expect("found");
    assert_eq!(names(&wanted), ["reg:5000/m/a:latest"]);
    assert_eq!(wanted[0].item.digest(), Some(root.digest));
    assert!(!wanted[0].pinned);
}

#[tokio::test]
async fn a_name_with_tag_and_digest_goes_by_its_digest() {
    let lab = Lab::default();
    let old = lab.image("quay.io/a:1", &["old"]);
    lab.image("quay.io/a:1", &["new"]);
    let wanted = all(named(&lab, &[&format!("quay.io/a:1@{}", old.digest)]), &below("")).await.expect("found");
    assert_eq!((wanted[0].item.digest(), names(&wanted)), (Some(old.digest), vec!["reg:5000/a:1".to_owned()]));
}

#[tokio::test]
async fn one_that_is_not_there_does_not_stop_the_others() {
    let lab = Lab::default();
    lab.image("quay.io/a:1", &["x"]);
    lab.trouble("resolve quay.io/b", Trouble::Fail(Error::failed("no route to quay.io")));
    let asks = named(&lab, &["quay.io/gone:1", "quay.io/b:1", "quay.io/a:1"]);
    let wanted = all(asks, &below("")).await.expect("found");
    let failed: Vec<_> = wanted.iter().map(|wanted| wanted.failed.as_ref().map(Error::to_string)).collect();
    assert_eq!(failed[0].as_deref(), Some("image quay.io/gone:1: it is not in lab"));
    assert_eq!(failed[1].as_deref(), Some("no route to quay.io"));
    assert_eq!(failed[2], None);
    assert!(matches!(&wanted[0].item.state, State::Missing(why) if why.contains("not in lab")));
}

#[tokio::test]
async fn all_tags_are_expanded_without_the_lists_of_referrers() {
    let lab = Lab::default();
    let root = lab.image("quay.io/a:1", &["x"]);
    lab.image("quay.io/a:2", &["y"]);
    let own = format!("quay.io/a:sha256-{}", root.digest.hex());
    lab.state().names.insert(name(&own), root.digest);
    let list = lab.index("quay.io/a:list", &[]);
    lab.state().names.remove(&name("quay.io/a:list"));
    lab.state().names.insert(name(&format!("quay.io/a:sha256-{}", Digest::of(b"other").hex())), list.digest);
    let repository: Repository = "quay.io/a".parse().expect("a repository");
    let wanted = all(vec![ask(&lab, What::AllTags(repository))], &Choices::default()).await.expect("found");
    assert_eq!(names(&wanted), ["quay.io/a:1".to_owned(), "quay.io/a:2".to_owned(), own]);
}

#[tokio::test]
async fn a_repository_without_tags_is_an_item_that_failed() {
    let lab = Lab::default();
    let repository: Repository = "quay.io/none".parse().expect("a repository");
    let wanted = all(vec![ask(&lab, What::AllTags(repository))], &below("")).await.expect("an answer");
    assert!(wanted[0].failed.as_ref().expect("failed").to_string().contains("quay.io/none: it has no tags in lab"));
}

#[tokio::test]
async fn what_a_place_lists_is_taken_as_it_is_listed() {
    let lab = Lab::default();
    let (root, _) = lab.multi("quay.io/a:1", &["linux/amd64"]);
    let signature = lab.attach("quay.io/a", &root, "sig");
    let amd64 = vec![platform("linux/amd64")];
    let item = Item { root: Some(root), attached: vec![signature.clone()], wanted: amd64.clone(), ..Item::image(name("quay.io/a:1")) };
    let missing = Item { state: State::Missing("gone".into()), ..Item::image(name("quay.io/z:1")) };
    lab.state().listing = Some(Contents::new([item, missing]));
    for what in [What::Everything, What::Name(name("quay.io/a:1"))] {
        let wanted = all(vec![ask(&lab, what)], &Choices::default()).await.expect("found");
        assert!(wanted[0].pinned && wanted[0].sparse);
        assert_eq!((&wanted[0].item.attached, &wanted[0].item.wanted), (&vec![signature.clone()], &amd64));
        assert!(wanted.get(1).is_none_or(|wanted| wanted.failed.as_ref().is_some_and(|error| error.to_string() == "gone")));
    }
    assert!(lab.log("resolve").is_empty());
}

#[tokio::test]
async fn names_that_a_listing_lacks_are_needed_only_if_nothing_else_is_there() {
    let lab = Lab::with(|state| state.listing = Some(Contents::default()));
    let kinds = |wanted: Vec<Wanted>| wanted.iter().filter_map(|wanted| Some(wanted.failed.as_ref()?.kind())).collect::<Vec<_>>();
    let none = all(named(&lab, &["quay.io/x:1"]), &Choices::default()).await.expect("an answer");
    assert_eq!(kinds(none), [Kind::Needed]);
    lab.image("quay.io/a:1", &["x"]);
    let some = all(named(&lab, &["quay.io/x:1", "quay.io/a:1"]), &Choices::default()).await.expect("an answer");
    assert_eq!(kinds(some), [Kind::Failed]);
}

#[tokio::test]
async fn a_place_that_cannot_list_itself_is_not_asked_for_everything() {
    let error = all(vec![ask(&Lab::default(), What::Everything)], &Choices::default()).await.map(|_| ()).expect_err("a usage error");
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Usage, "lab: it cannot list all that it holds"));
}

#[tokio::test]
async fn two_images_on_one_name_stop_the_plan_with_both_named() {
    let (lab, other) = (Lab::default(), Lab::default());
    lab.image("quay.io/a:1", &["x"]);
    lab.image("ghcr.io/a:1", &["y"]);
    other.image("quay.io/a:1", &["z"]);
    let exact = Choices { target: Some(Target::Exact(name("reg:5000/x:1"))), jobs: 1, ..Choices::default() };
    let mut mixed = named(&lab, &["quay.io/a:1"]);
    mixed.extend(named(&other, &["quay.io/a:1"]));
    let two = || named(&lab, &["quay.io/a:1", "ghcr.io/a:1"]);
    for (asks, choices, both) in [
        (two(), &below(""), ["quay.io/a:1", "ghcr.io/a:1"]),
        (two(), &exact, ["quay.io/a:1", "ghcr.io/a:1"]),
        (mixed, &Choices::default(), ["from lab", "and from lab"]),
    ] {
        let error = all(asks, choices).await.map(|_| ()).expect_err("a usage error");
        assert_eq!(error.kind(), Kind::Usage);
        assert!(both.iter().all(|one| error.to_string().contains(one)), "{error}");
    }
    assert_eq!(all(two(), &Choices::default()).await.expect("an archive keeps origins").len(), 2);
}

#[tokio::test]
async fn an_answer_with_another_digest_is_damage() {
    let lab = Lab::default();
    let other = lab.image("quay.io/a:1", &["x"]);
    lab.state().answer = Some(other);
    let asked = What::Name(name("quay.io/a").repository().at(Digest::of(b"asked")));
    let wanted = all(vec![ask(&lab, asked)], &Choices::default()).await.expect("an answer");
    assert_eq!(wanted[0].failed.as_ref().map(Error::kind), Some(Kind::Damaged));
}

#[tokio::test]
async fn what_is_blocked_is_not_asked_for_and_is_told_with_the_expression() {
    let lab = Lab::default();
    lab.image("quay.io/a:1", &["x"]);
    lab.trouble("resolve quay.io/bad", Trouble::Fail(Error::failed("it was asked for")));
    let asks = named(&lab, &["quay.io/bad:1", "quay.io/a:1", "quay.io/b:1"]);
    let blocked = config::Blocked::of(["quay.io/ba", "^reg:5000/m/b:"]).expect("expressions");
    let collected = collect(asks, &Choices { blocked, ..below("m") }, &(Arc::new(Silent) as SharedMonitor)).await.expect("found");
    assert_eq!(names(&collected.wanted), ["reg:5000/m/a:1"]);
    let told: Vec<_> = collected.blocked.iter().map(|blocked| (blocked.image.to_string(), blocked.expression.as_str())).collect();
    assert_eq!(told, [("quay.io/bad:1".to_owned(), "quay.io/ba"), ("quay.io/b:1".to_owned(), "^reg:5000/m/b:")]);
}

#[tokio::test]
async fn what_was_said_of_one_image_holds_for_that_one() {
    let lab = Lab::default();
    lab.image("quay.io/a:1", &["x"]);
    lab.image("quay.io/b:1", &["y"]);
    let rename = Rename { repository: Some("c/d".into()), tag: Some("2".into()) };
    let mut asks = named(&lab, &["quay.io/a:1", "quay.io/b:1"]);
    (asks[0].rename, asks[0].platforms) = (rename.clone(), vec![platform("linux/arm64")]);
    let wanted = all(asks, &below("m")).await.expect("found");
    assert_eq!(names(&wanted), ["reg:5000/m/c/d:2", "reg:5000/m/b:1"]);
    assert_eq!((&wanted[0].item.rename, wanted[0].item.wanted.len(), wanted[1].item.wanted.len()), (&rename, 1, 0));
}

/// A repository with an image for two platforms; attachments of it, of one of its parts, and of what is not there.
fn signed() -> (Lab, String) {
    let lab = Lab::default();
    let (root, children) = lab.multi("quay.io/a:1", &["linux/amd64", "linux/arm64"]);
    let gone = format!("quay.io/a:{}", Attachment::Signature.tag(&Digest::of(b"gone")).expect("a tag"));
    for subject in [root.digest, children[1].digest] {
        lab.image(&format!("quay.io/a:{}", Attachment::Signature.tag(&subject).expect("a tag")), &[&subject.to_string()]);
    }
    lab.image(&gone, &["signature of what is gone"]);
    (lab, gone)
}

#[tokio::test]
async fn what_is_attached_to_an_image_of_the_run_is_no_image_of_all_tags() {
    let (lab, gone) = signed();
    let all_tags = || vec![ask(&lab, What::AllTags("quay.io/a".parse().expect("a repository")))];
    let wanted = all(all_tags(), &Choices::default()).await.expect("found");
    assert_eq!(names(&wanted), ["quay.io/a:1".to_owned(), gone.clone()], "what is attached to nothing there is brought");
    assert_eq!(lab.log("resolve").len(), 2, "no other is asked for here: {:?}", lab.log("resolve"));
    let removed = Choices { attachments: Attachments { removed: true, ..Attachments::default() }, ..Choices::default() };
    assert_eq!(names(&all(all_tags(), &removed).await.expect("found")), ["quay.io/a:1"]);
}

#[tokio::test]
async fn what_is_attached_is_an_image_where_it_is_asked_for_by_its_name() {
    let (lab, gone) = signed();
    let (root, _) = lab.multi("quay.io/a:1", &["linux/amd64", "linux/arm64"]);
    let own = format!("quay.io/a:{}", Attachment::Signature.tag(&root.digest).expect("a tag"));
    let wanted = all(named(&lab, &["quay.io/a:1", &own, &gone]), &Choices::default()).await.expect("found");
    assert_eq!(names(&wanted), ["quay.io/a:1".to_owned(), own, gone]);
}

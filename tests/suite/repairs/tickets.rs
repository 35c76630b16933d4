//! Where parity is not enough: a ticket, its answer, and what it heals.

use ocm::error::Kind;
use ocm::transfer::Class;
use ocm::workflow::repair::answer;
use ocm::workflow::sync::ParityAmount;
use ocm::workflow::verify;

use super::{Made, change, remove};

/// A copy of the archive as the near side has it.
fn near_side(made: &Made) {
    let to = made.lab.folder("near");
    std::fs::create_dir(&to).expect("a folder");
    for (name, content) in made.lab.archive("disk") {
        std::fs::write(to.join(name), content).expect("written");
    }
}

/// Asks, answers and applies; says how large the patch was.
async fn mend(made: &Made) -> u64 {
    let (ticket, patch) = (made.lab.folder("ticket"), made.lab.folder("patch"));
    let outcome = made.repair(|request| request.ticket = Some(ticket.clone())).await.expect("a look");
    assert_eq!(outcome.class(), Class::Needed, "{outcome:?}");
    assert_eq!(outcome.sets[0].ticket.as_ref(), Some(&ticket));
    let answered = answer(ticket.clone(), made.lab.folder("near"), patch.clone(), &made.lab.settings).await.expect("an answer");
    let outcome = made.repair(|request| request.with = vec![patch.clone()]).await.expect("a repair");
    assert_eq!(outcome.class(), Class::Done, "{outcome:?}");
    remove(&ticket);
    remove(&patch);
    answered.bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn without_parity_a_ticket_asks_for_what_is_damaged_and_its_answer_heals() {
    let Some(made) = Made::new(None).await else { return };
    near_side(&made);
    let volumes = made.files('v');
    change(&volumes[1], |content| content[70_000] ^= 1);
    let verdict = made.verify(false).await;
    let repair = verdict.verdict.sets[0].repair.as_ref().expect("it is told");
    assert!(!repair.here && repair.parity_volumes == 0 && repair.lacking.len() == 1, "{repair:?}");
    let bytes = mend(&made).await;
    assert!(bytes < 32 << 10, "a patch of {bytes} bytes for one of a frame");
    assert!(made.is_as_written());
    // A whole volume, and the last one, with which SET.json is gone.
    for lost in [0, volumes.len() - 1] {
        remove(&volumes[lost]);
        let catalogues = made.files('c');
        let kept: Vec<Vec<u8>> = catalogues.iter().map(|path| std::fs::read(path).expect("content")).collect();
        catalogues.iter().for_each(|path| remove(path));
        mend(&made).await;
        catalogues.iter().zip(kept).for_each(|(path, content)| std::fs::write(path, content).expect("written"));
        assert!(made.is_as_written());
    }
    // A cut one, and one whose beginning is gone.
    let cut = std::fs::File::options().write(true).open(&volumes[2]).expect("a file");
    cut.set_len(60_000).expect("cut");
    change(&volumes[0], |content| content[..2048].fill(0));
    mend(&made).await;
    assert!(made.is_as_written());
    assert_eq!(verify::class(&made.verify(false).await), Class::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_parity_a_ticket_asks_only_for_what_parity_lacks() {
    let Some(made) = Made::new(Some(ParityAmount::Volumes(1))).await else { return };
    near_side(&made);
    let volumes = made.files('v');
    remove(&volumes[0]);
    change(&volumes[1], |content| content[70_000] ^= 1);
    let bytes = mend(&made).await;
    assert!(bytes < 16 << 10, "one column of one volume, not {bytes} bytes");
    assert!(made.is_as_written());
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_and_patches_that_do_not_fit_are_refused() {
    let Some(made) = Made::new(None).await else { return };
    near_side(&made);
    let Some(other) = Made::new(Some(ParityAmount::Volumes(1))).await else { return };
    let (ticket, patch) = (made.lab.folder("ticket"), made.lab.folder("patch"));
    remove(&made.files('v')[0]);
    made.repair(|request| request.ticket = Some(ticket.clone())).await.expect("a look");
    let settings = &made.lab.settings;
    let error = answer(ticket.clone(), other.lab.folder("disk"), patch.clone(), settings).await.expect_err("another set");
    assert_eq!(error.kind(), Kind::Needed, "{error:?}");
    answer(ticket.clone(), made.lab.folder("near"), patch.clone(), settings).await.expect("an answer");
    let error = answer(ticket.clone(), made.lab.folder("near"), patch.clone(), settings).await.expect_err("it is there");
    assert_eq!(error.kind(), Kind::Usage);
    let error = other.repair(|request| request.with = vec![patch.clone()]).await.expect_err("a patch of another set");
    assert_eq!(error.kind(), Kind::Usage);
    assert!(other.is_as_written());
    change(&patch, |content| content[5000] ^= 1);
    let error = made.repair(|request| request.with = vec![patch.clone()]).await.expect_err("a damaged patch");
    assert_eq!(error.kind(), Kind::Damaged);
    change(&ticket, |content| content[30] ^= 1);
    let error = answer(ticket, made.lab.folder("near"), made.lab.folder("x"), settings).await.expect_err("a changed ticket");
    assert!(error.to_string().contains("ticket"), "{error}");
    // A near side that is damaged itself has no answer.
    made.repair(|request| request.ticket = Some(made.lab.folder("again"))).await.expect("a look");
    let name = made.files('v')[0].file_name().expect("a name").to_owned();
    change(&made.lab.folder("near").join(name), |content| content[70_000] ^= 1);
    let error = answer(made.lab.folder("again"), made.lab.folder("near"), made.lab.folder("y"), settings).await.expect_err("damaged");
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(!made.lab.folder("y").exists() && !made.lab.folder("y.partial").exists());
}

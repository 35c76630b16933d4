//! What counts, what lacks, what is damage.

use super::super::secret::{NewKey, SecretKey};
use super::*;
use crate::error::Kind;
use crate::image::Digest;

fn key(seed: u8) -> SecretKey {
    SecretKey::new(&NewKey { id: [seed; 8], seed: &[seed; 32] }).expect("a key")
}

const SET: &str = "01010101010101010101010101010101";

/// A signature of the set by this key.
fn signed(seed: u8, place: &str) -> Found {
    let comment = comment_of(SET, 2, &Digest::of(b"set"), "disk");
    Found { place: place.into(), bytes: key(seed).sign(b"set", &comment).file().into_bytes() }
}

fn authority(lines: &[(u8, &str)], demands: &[&str]) -> Authority {
    let text: String = lines.iter().map(|(seed, rest)| format!("{} {rest}\n", key(*seed).public())).collect();
    let signers = Signers::read("t", text.as_bytes()).expect("signers");
    let demands = demands.iter().map(|demand| demand.parse().expect("a demand")).collect();
    Authority(Some(Arc::new(Inner { signers, demands, approvals: Vec::new() })))
}

fn subject<'a>(inside: &'a [Found], beside: &'a [Found]) -> Subject<'a> {
    Subject {
        name: "set 2 of \"disk\"".into(),
        kind: Signable::Set(SET),
        scope: "disk",
        root: Digest::of(b"set"),
        bytes: b"set",
        inside,
        beside,
    }
}

#[test]
fn different_keys_of_a_role_count_where_their_patterns_fit() {
    let (inside, beside) = ([signed(1, "v1")], [signed(2, "a"), signed(3, "b"), signed(2, "again"), signed(9, "foreign")]);
    let lines = [(1, "builder *"), (2, "auditor disk lab-*"), (3, "auditor other"), (3, "watcher *")];
    for (demands, lacking) in [
        (&["1"][..], ""),
        (&["3"], ""),
        (&["4"], "1 of 4 keys (there: 3)"),
        (&["builder"], ""),
        (&["auditor"], ""),
        (&["builder=1", "auditor=1", "watcher"], ""),
        (&["auditor=2"], "1 of 2 keys of role auditor (there: 1)"),
        (&["builder=2", "auditor=3"], "1 of 2 keys of role builder (there: 1), and 2 of 3 keys of role auditor (there: 1)"),
    ] {
        let authority = authority(&lines, demands);
        let subject = subject(&inside, &beside);
        assert_eq!(authority.judge(&subject).lacking.join(", and "), lacking);
        let verdict = authority.check(&subject);
        assert_eq!(verdict.as_ref().map_err(Error::kind).err(), (!lacking.is_empty()).then_some(Kind::Needed));
    }
    let all = authority(&lines, &["1"]).judge(&subject(&inside, &beside)).signatures;
    let told: Vec<String> = all.iter().map(ToString::to_string).collect();
    assert_eq!(told[0], "signature by 0101010101010101 (builder): trusted");
    assert_eq!(told[2], "approval by 0303030303030303 (watcher): trusted, in b");
    assert_eq!(told[4], "approval by 0909090909090909: not trusted, in foreign");
    let other = authority(&[(1, "builder lab-*")], &["1"]).judge(&subject(&inside, &[])).signatures;
    assert_eq!(other[0].standing, Standing::OtherLineage);
}

#[test]
fn what_does_not_verify_is_damage_only_where_it_claims_to() {
    let broken = |found: &Found| Found {
        bytes: String::from_utf8_lossy(&found.bytes).replace("lineage disk", "lineage dusk").into_bytes(),
        ..found.clone()
    };
    let stock = Found { place: "x".into(), bytes: key(1).sign(b"other", "timestamp:1").file().into_bytes() };
    let another =
        Found { place: "y".into(), bytes: key(1).sign(b"other", &comment_of("02", 1, &Digest::of(b"other"), "disk")).file().into_bytes() };
    let garbage = Found { place: "z".into(), bytes: b"garbage".to_vec() };
    let authority = authority(&[(1, "builder *")], &["1"]);
    for (inside, beside, expected) in [
        (vec![broken(&signed(1, "v"))], vec![], Err(Kind::Damaged)),
        (vec![signed(1, "v")], vec![broken(&signed(1, "a"))], Err(Kind::Damaged)),
        (vec![signed(1, "v")], vec![stock.clone(), another.clone()], Ok(())),
        (vec![signed(1, "v")], vec![garbage.clone()], Err(Kind::Damaged)),
        (vec![stock], vec![], Err(Kind::Damaged)),
        // Nobody knows the key, so nobody can tell.
        (vec![broken(&signed(5, "v"))], vec![], Err(Kind::Needed)),
        (vec![], vec![another], Err(Kind::Needed)),
        (vec![], vec![], Err(Kind::Needed)),
    ] {
        let verdict = authority.check(&subject(&inside, &beside));
        assert_eq!(verdict.map_err(|error| error.kind()), expected, "{inside:?} {beside:?}");
    }
    assert!(Authority::default().check(&subject(&[garbage], &[])).is_ok(), "nothing is asked");
}

#[test]
fn two_keys_with_one_id_are_told_apart() {
    let twin = SecretKey::new(&NewKey { id: [1; 8], seed: &[7; 32] }).expect("a key");
    let text = format!("{} builder *\n{} auditor *\n", twin.public(), key(1).public());
    let signers = Signers::read("t", text.as_bytes()).expect("signers");
    let demands = vec!["auditor".parse().expect("a demand")];
    let authority = Authority(Some(Arc::new(Inner { signers, demands, approvals: Vec::new() })));
    let judged = authority.judge(&subject(&[signed(1, "v")], &[]));
    assert_eq!((judged.signatures[0].roles.as_slice(), judged.lacking.len()), (["auditor".to_owned()].as_slice(), 0));
}

#[test]
fn a_refusal_says_what_is_there() {
    let error = authority(&[(1, "builder *")], &["builder=1"]).check(&subject(&[signed(4, "v")], &[])).expect_err("refused");
    assert_eq!(error.to_string(), "set 2 of \"disk\": it is not signed as it must be: it lacks 1 of 1 key of role builder (there: 0)");
    assert_eq!(error.notes()[1], "there: signature by 0404040404040404: not trusted");
}

#[test]
fn demands_are_words_and_numbers() {
    for (text, role, count) in [("1", None, 1), ("12", None, 12), ("auditor", Some("auditor"), 1), ("a-b_2=3", Some("a-b_2"), 3)] {
        assert_eq!(text.parse::<Demand>().expect(text), Demand { role: role.map(str::to_owned), count });
    }
    for text in ["", "0", "100", "auditor=0", "=1", "a b=1", "auditor=x", "7=1", "-1"] {
        assert!(text.parse::<Demand>().is_err() || text == "-1", "{text}");
    }
}

#[test]
fn what_cannot_be_met_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (public, trust) = (write("k.pub", key(1).public().file()), write("trust", format!("{} builder *\n", key(1).public())));
    let wish = |trust: &[&str], demands: &[&str]| Wish {
        trust: trust.iter().map(|named| (*named).to_owned()).collect(),
        demands: demands.iter().map(|demand| demand.parse().expect("a demand")).collect(),
        approvals: Vec::new(),
    };
    let line = key(1).public().to_string();
    for (wish, why) in [
        (wish(&[], &["1"]), "whose signatures count is not said"),
        (Wish { approvals: vec!["a".into()], ..wish(&[], &[]) }, "whose approvals count"),
        (wish(&[&trust], &["auditor"]), "1 key of role auditor must sign, and there are 0"),
        (wish(&[&line, &public], &["2"]), "2 keys must sign, and there are 1"),
        (wish(&["/nowhere/trust"], &[]), "neither a key nor a file"),
        (Wish { approvals: vec!["/nowhere/a".into()], ..wish(&[&line], &[]) }, "it is not there"),
    ] {
        let error = Authority::load(wish).err().expect("refused");
        assert!(error.kind() == Kind::Usage && error.to_string().contains(why), "{error}");
    }
    let bare = Authority::load(wish(&[&line], &[])).expect("an authority");
    assert_eq!(bare.judge(&subject(&[], &[])).lacking, ["1 of 1 key (there: 0)"]);
    assert!(Authority::load(wish(&[&trust, &public], &["builder"])).is_ok_and(|authority| authority.is_asked()));
    assert!(Authority::load(wish(&[], &[])).is_ok_and(|authority| !authority.is_asked()));
}

//! What a tar header may say: names that lead elsewhere, types that are no files, sizes that are lies.

use ocm_format::digest::Digest;
use ocm_format::index::table;
use ocm_format::layout::Parent;
use ocm_format::tar;

use crate::apart::{Came, apart};
use crate::built::{Built, range, raw};
use crate::forged::Forged;
use crate::made::noise;

/// A volume with one blob in a pack and one verbatim.
fn volume() -> Forged {
    let content = noise(1, 1_000);
    let mut built = Built::new(1, Parent::None);
    built.verbatim(b"a document", Digest::of(b"a document"));
    built.plain_pack(&[&content]).records(&[raw(Digest::of(&content), vec![range(0, 1_000)])]);
    built.forged()
}

fn seen(forged: &Forged) -> Came {
    let folder = tempfile::tempdir().expect("a folder");
    forged.write(folder.path());
    let came = apart(folder.path());
    let files = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(files, 1, "nothing is unpacked");
    came
}

/// Changes the tar header of the pack, whose sum is made right again.
fn with_header(change: impl Fn(&mut [u8])) -> Forged {
    let mut forged = volume();
    let at = forged.member("packs/000002.zst");
    let header = &mut forged.members[at..at + 512];
    change(header);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    forged
}

/// The tar header is damage that is named, and nobody followed it: both blobs come out.
#[track_caller]
fn assert_not_followed(forged: &Forged) {
    let came = seen(forged);
    came.says("check: ", "the tar header of packs/000002.zst is not what it must be");
    for blob in [Digest::of(b"a document"), Digest::of(&noise(1, 1_000))] {
        came.says(&format!("read: {blob}"), "all of it");
    }
}

#[test]
fn names_that_lead_elsewhere_or_are_none_are_not_followed() {
    for name in ["../../../../etc/passwd", "/etc/passwd", "packs/../../x", "", "\u{1b}[2J", "C:\\x"] {
        assert_not_followed(&with_header(|header| {
            header[..100].fill(0);
            header[..name.len()].copy_from_slice(name.as_bytes());
        }));
    }
    for bytes in [b"packs/000002.zst\0../x", &[b'x'; 100][..], b"\xff\xfe", b"a\nb"] {
        assert_not_followed(&with_header(|header| {
            header[..100].fill(0);
            header[..bytes.len()].copy_from_slice(bytes);
        }));
    }
    assert_not_followed(&with_header(|header| header[345..355].copy_from_slice(b"../prefix/")));
}

#[test]
fn links_devices_extended_headers_and_sparse_files_are_not_followed() {
    for kind in *b"1234567xgLKSVMDA\0" {
        assert_not_followed(&with_header(|header| {
            header[156] = kind;
            header[157..168].copy_from_slice(b"/etc/passwd");
        }));
    }
}

#[test]
fn sizes_that_are_lies_or_no_octal_numbers_are_not_followed() {
    for size in [
        b"00000000000\0",
        b"77777777777\0",
        b"00000000001\0",
        b"99999999999\0",
        b"-0000000001\0",
        b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        assert_not_followed(&with_header(|header| header[124..136].copy_from_slice(size)));
    }
    // Who scans takes the size as a hint: the member ends beyond the file.
    let mut forged = volume();
    let at = forged.member("packs/000002.zst");
    forged.members[at..at + 512].copy_from_slice(&tar::header("packs/000002.zst", 1 << 24, forged.time).expect("a header"));
    forged.on_footer = |footer| footer.directory = Digest::of(b"another");
    seen(&forged).says("lost: ", "the file ends within packs/000002.zst").says("broken: ", "footer").is_silent("read: ");
}

#[test]
fn names_in_the_index_lead_nowhere_either() {
    for (name, why) in [
        (&b"../../../../xxxx"[..], r#"member "../../../../xxxx" has no place here"#),
        (b"/etc/passwd/xxxx", r#"member "/etc/passwd/xxxx" has no place here"#),
        (b"packs/000003.zst", r#"member "packs/000003.zst" has no place here"#),
        (b"packs/000001.rec", r#"member "packs/000001.rec" has no place here"#),
        (b"packs/0000\x1b[2Jxx", "it has no place in a tar header"),
        (b"packs/000\0/../xx", "it has no place in a tar header"),
        (b"packs/000002\xffzst", "MEMBERS: name of a member is not UTF-8"),
    ] {
        let mut forged = volume();
        crate::forged::swap(&mut forged.table(table::MEMBERS).blocks[0].plain, b"packs/000002.zst", name);
        if let Ok(name) = std::str::from_utf8(name)
            && let Ok(header) = tar::header(name, 1, forged.time)
        {
            let at = forged.member("packs/000002.zst");
            let size = forged.members[at + 124..at + 136].to_vec();
            forged.members[at..at + 512].copy_from_slice(&header);
            forged.members[at + 124..at + 136].copy_from_slice(&size);
        }
        let came = seen(&forged);
        came.says("check: ", why).says(&format!("read: {}", Digest::of(&noise(1, 1_000))), "all of it");
    }
}

#[test]
fn members_that_no_record_and_no_row_speaks_of_are_seen() {
    let mut built = Built::new(1, Parent::None);
    built.verbatim(b"a document", Digest::of(b"a document"));
    let mut forged = built.forged();
    tar::put_member(&mut forged.members, "blobs/sha256/more", b"hidden", forged.time).expect("a member");
    seen(&forged).says("check: ", "MEMBERS: it does not account for what is before the index");
    let mut forged = volume();
    forged.on_tail = |tail| {
        tail.extend([0; 512]);
        tail.extend(b"more of it".iter().chain(&[0; 502]));
    };
    seen(&forged).says("check: ", "tail: SET.json.minisig does not stand where it must").says("read: ", "all of it");
}

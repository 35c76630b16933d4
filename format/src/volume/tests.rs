//! Unit tests of an open volume, on volumes that are kept for ever.

use std::path::PathBuf;

use super::*;

/// A copy of the only volume of the golden base, which may be written to.
fn golden() -> (tempfile::TempDir, PathBuf) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1/base");
    let names = std::fs::read_dir(folder).expect("golden archives").map(|entry| entry.expect("an entry").path());
    let volume = names.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "tar")).expect("a volume");
    let copies = tempfile::tempdir().expect("a folder");
    let copy = copies.path().join("volume");
    std::fs::write(&copy, std::fs::read(volume).expect("bytes")).expect("written");
    (copies, copy)
}

#[test]
fn a_volume_says_what_its_file_is() {
    let (_folder, path) = golden();
    let bytes = std::fs::read(&path).expect("bytes");
    let volume = Volume::open(&path).expect("a volume");
    assert_eq!((volume.path(), volume.number(), volume.bytes()), (path.as_path(), 1, bytes.len() as u64));
    assert_eq!((volume.root(), volume.is_scanned()), (volume.footer().root, false));
    let (tail, end) = (volume.tail_offset() as usize, volume.end_offset() as usize);
    assert_eq!(&bytes[end..end + 10], b"OCM.FOOTER");
    let blocks = usize::try_from(volume.footer().index_bytes - volume.footer().directory_bytes).expect("small");
    assert!(volume.footer().directory.matches(&bytes[tail - volume.footer().directory_bytes as usize..tail]));
    let again = Directory::parse(&bytes[tail - volume.footer().directory_bytes as usize..tail], blocks as u64).expect("a directory");
    assert_eq!(format!("{:?}", volume.directory()), format!("{again:?}"));
}

#[test]
fn reads_are_of_the_file_and_end_with_it() {
    let (_folder, path) = golden();
    let bytes = std::fs::read(&path).expect("bytes");
    let volume = Volume::open(&path).expect("a volume");
    assert_eq!(volume.read_vec(512, 8).expect("read"), bytes[512..520]);
    assert_eq!(volume.read_index(700, 9).expect("read"), bytes[700..709]);
    let error = volume.read_vec(bytes.len() as u64 - 1, 2).expect_err("the end");
    assert!(error.kind() == Kind::Incomplete && error.to_string().contains("volume 1"), "{error}");
}

#[test]
fn two_volumes_of_one_cache_are_told_apart_in_it() {
    let (_folder, path) = golden();
    let cache = Arc::new(IndexCache::default());
    let open = || Volume::open_with(&path, &cache).expect("a volume");
    let (one, other) = (open(), open());
    assert_ne!(one.cache().1, other.cache().1);
    assert!(std::ptr::eq(one.cache().0, &*cache));
}

#[test]
fn a_file_that_was_written_to_is_not_as_it_was_opened() {
    let (_folder, path) = golden();
    let write = || File::options().write(true).open(&path).expect("a file");
    let volume = Volume::open(&path).expect("a volume");
    assert!(volume.is_as_opened());
    let before = path.metadata().expect("a file").modified().expect("a time");
    // The clock of a file system may stand for some milliseconds.
    let sees = |volume: &Volume, change: &dyn Fn()| {
        (0..1000).any(|_| {
            change();
            std::thread::sleep(std::time::Duration::from_millis(1));
            !volume.is_as_opened()
        })
    };
    assert!(sees(&volume, &|| write().write_all_at(b"O", 0).expect("written")));
    // Who sets the time of the file back cannot do so with that of its inode.
    write().set_modified(before).expect("set");
    assert!(sees(&Volume::open(&path).expect("a volume"), &|| write().set_modified(before).expect("set")));
}

#[test]
fn a_file_without_a_header_is_no_volume_and_one_with_half_of_it_is_incomplete() {
    let (_folder, path) = golden();
    let cut = |bytes| File::options().write(true).open(&path).expect("a file").set_len(bytes).expect("cut");
    let kind = || Ends::open(&path).map(|ends| ends.footer.expect_err("no footer").kind()).unwrap_or_else(|error| error.kind());
    for (bytes, expected) in [
        (3071, Kind::Incomplete),
        (1024, Kind::Incomplete),
        (1023, Kind::Incomplete),
        (520, Kind::Incomplete),
        (519, Kind::NotAVolume),
        (0, Kind::NotAVolume),
    ] {
        cut(bytes);
        assert_eq!(kind(), expected, "{bytes}");
    }
    // A regular file that cannot be read at these places is not said to be something else.
    let unreadable = Ends::open(Path::new("/proc/self/mem")).err().expect("unreadable");
    assert!(matches!(unreadable.kind(), Kind::Io(_)), "{unreadable}");
}

#[test]
fn a_volume_has_at_least_three_blocks_of_members_before_its_index() {
    let (_folder, path) = golden();
    let footer = Ends::open(&path).expect("a volume").footer.expect("a footer");
    assert!(check_places(&footer).is_some());
    let hurt = |change: fn(&mut Footer)| {
        let mut changed = Footer { ..footer };
        change(&mut changed);
        check_places(&changed)
    };
    assert_eq!(hurt(|footer| footer.index_offset = 1024), None);
    assert_eq!(hurt(|footer| footer.file_bytes += 1), None);
    assert_eq!(hurt(|footer| footer.index_offset += 1), None);
    assert_eq!(hurt(|footer| footer.index_bytes += 1 << 20), None);
    assert_eq!(hurt(|footer| footer.directory_bytes = footer.index_bytes + 1), None);
    assert!(hurt(|footer| footer.directory_bytes = footer.index_bytes).is_some());
    assert_eq!(hurt(|footer| footer.set_json_offset += 1), None);
    assert_eq!(hurt(|footer| footer.set_json_offset = footer.index_offset), None);
    assert_eq!(hurt(|footer| footer.set_json_bytes = footer.file_bytes), None);
    assert_eq!(hurt(|footer| footer.set_json_bytes = u64::MAX), None);
    assert_eq!(hurt(|footer| footer.flags &= !layout::FLAG_SET), None);
    assert_eq!(hurt(|footer| footer.index_offset = u64::MAX), None);
    assert_eq!(hurt(|footer| footer.file_bytes = 0), None);
}

#[test]
fn a_footer_must_be_that_of_its_header() {
    let (_folder, path) = golden();
    let bytes = std::fs::read(&path).expect("bytes");
    let Ends { file_bytes, header, footer, .. } = Ends::open(&path).expect("a volume");
    let footer = footer.expect("a footer");
    let content = bytes[512..1024].try_into().expect("512 bytes");
    let check = |change: &dyn Fn(&mut Footer, &mut Header)| {
        let (mut footer, mut header) = (Footer { ..footer }, header);
        change(&mut footer, &mut header);
        check_footer(&footer, &header, content, file_bytes).map_err(|error| error.message().to_owned())
    };
    assert_eq!(check(&|_, _| {}), Ok(()));
    let says = |change: &dyn Fn(&mut Footer, &mut Header), why: &str| {
        let error = check(change).expect_err(why);
        assert!(error.contains(why), "{error}");
    };
    says(&|footer, _| footer.number += 1, "another set or volume");
    says(&|footer, _| footer.set.0[0] ^= 1, "another set or volume");
    says(&|footer, _| footer.file_bytes += 512, "and the file has");
    says(&|footer, _| footer.flags |= layout::FLAG_PARITY, "not those of the header's kind");
    says(&|_, header| header.kind = Parity, "not those of the header's kind");
    says(&|_, header| header.kind = VolumeKind::Catalogue, "not those of the header's kind");
    /// The only volume of a set, as one of another kind.
    fn of_kind(footer: &mut Footer, header: &mut Header, kind: VolumeKind, flag: u32) {
        header.kind = kind;
        footer.flags = footer.flags & !layout::FLAG_LAST | flag;
    }
    use VolumeKind::{Catalogue, Parity};
    assert_eq!(check(&|footer, header| of_kind(footer, header, Parity, layout::FLAG_PARITY)), Ok(()));
    says(&|footer, header| of_kind(footer, header, Parity, layout::FLAG_PARITY | layout::FLAG_LAST), "not those of the header's kind");
    // A catalogue has no stream.
    says(&|footer, header| of_kind(footer, header, Catalogue, layout::FLAG_CATALOGUE), "not those of the header's kind");
    let without_stream = |footer: &mut Footer, header: &mut Header, flags| {
        of_kind(footer, header, Catalogue, flags);
        footer.stream_bytes = 0;
    };
    says(&|footer, header| without_stream(footer, header, layout::FLAG_CATALOGUE), "root does not follow");
    says(&|footer, header| without_stream(footer, header, layout::FLAG_CATALOGUE | layout::FLAG_LAST), "not those of the header's kind");
    says(&|footer, _| footer.set_json_offset += 1, "outside of the file");
    says(&|footer, _| footer.stream_bytes += 1, "root does not follow");
}

//! Layers make the file system that unpacking them would.

use std::io::Write as _;

use tar::{Builder, EntryType, Header};

use super::*;

/// A tar of what stands in lines: `d PATH`, `f PATH CONTENT`, `s PATH TARGET`, `h PATH TARGET`, `c PATH`; perhaps `MODE` in front.
pub(crate) fn tar(lines: &str) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (mode, line) = line.split_once(' ').filter(|(mode, _)| mode.len() > 1).unwrap_or(("644", line));
        let (kind, rest) = line.split_once(' ').expect("a kind");
        let (path, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut header = Header::new_ustar();
        header.set_mode(u32::from_str_radix(mode, 8).expect("a mode"));
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(7);
        let (kind, content, link) = match kind {
            "d" => (EntryType::Directory, "", ""),
            "f" => (EntryType::Regular, rest, ""),
            "s" => (EntryType::Symlink, "", rest),
            "h" => (EntryType::Link, "", rest),
            _ => (EntryType::Char, "", ""),
        };
        header.set_entry_type(kind);
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content.as_bytes()).expect("memory");
    }
    tar.into_inner().expect("memory")
}

fn over(tree: Tree, tar: &[u8]) -> Result<Tree> {
    let mut layer = tree.layer();
    tar.chunks(100).try_for_each(|part| layer.push(part))?;
    layer.finish()
}

/// The tree of these layers, lowest first.
pub(crate) fn tree(layers: &[&str]) -> Tree {
    layers.iter().fold(Tree::default(), |tree, lines| over(tree, &self::tar(lines)).expect(lines))
}

/// What is in a tree: paths, `/` after directories, `->` before targets, `=` before what stands for content.
fn listed(tree: &Tree) -> Vec<String> {
    let text = |(path, node): (&[u8], &Node)| {
        let path = String::from_utf8_lossy(path);
        match &node.what {
            What::File(bytes, digest) => format!("{path}={bytes}:{}", &digest.hex()[..4]),
            What::Symlink(target) => format!("{path}->{}", String::from_utf8_lossy(target)),
            What::Directory => format!("{path}/"),
            _ => path.into_owned(),
        }
    };
    tree.nodes().map(text).collect()
}

fn file(path: &str, content: &str) -> String {
    format!("{path}={}:{}", content.len(), &Digest::of(content.as_bytes()).hex()[..4])
}

fn names(layers: &[&str]) -> String {
    let tree = tree(layers);
    let memory: usize = tree.nodes.iter().map(|(path, node)| Tree::<Digest>::ENTRY_BYTES + path.len() + node.extra_bytes()).sum();
    assert_eq!(tree.bytes, memory, "what was taken is counted, and what was let go");
    let names = tree.nodes().map(|(path, _)| String::from_utf8_lossy(path).into_owned()).filter(|path| !path.is_empty());
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_layer_lists_what_is_at_each_path() {
    let tree = tree(&["d ./\nd ./etc/\nf ./etc/a hello\ns ./etc/b a\nh etc/c ./etc/a\nc dev/null\nf /empty"]);
    let hello = |path| file(path, "hello");
    assert_eq!(listed(&tree), ["/", "dev/", "dev/null", &file("empty", ""), "etc/", &hello("etc/a"), "etc/b->a", &hello("etc/c")]);
}

#[test]
fn upper_layers_replace_and_hide_what_lower_ones_have() {
    let base = "d d\nf d/a 1\nf d/b 1\nf e 1\nf d-e 1";
    for (upper, expected) in [
        ("f d/a 2", "d d-e d/a d/b e"),
        ("f d/.wh.a", "d d-e d/b e"),
        ("f .wh.d", "d-e e"),
        ("f .wh.gone", "d d-e d/a d/b e"),
        ("f d/.wh..wh..opq", "d d-e e"),
        ("f .wh..wh..opq", ""),
        // A whiteout hides nothing of its own layer, wherever it stands.
        ("f d/.wh..wh..opq\nf d/c 2", "d d-e d/c e"),
        ("f d/c 2\nf d/.wh..wh..opq", "d d-e d/c e"),
        ("f .wh.d\nd d\nf d/c 2", "d d-e d/c e"),
        ("d d\nf d/c 2\nf .wh.d", "d d-e d/c e"),
        ("f d/x/y 2\nf .wh..wh..opq", "d d/x d/x/y"),
        ("f d/b 2\nf d/.wh.b", "d d-e d/a d/b e"),
        // Only a directory over a directory keeps what is in it.
        ("d d", "d d-e d/a d/b e"),
        ("f d 2", "d d-e e"),
        ("s d e", "d d-e e"),
        ("d e\nf e/x 2", "d d-e d/a d/b e e/x"),
        // Notes of aufs are no files.
        ("d .wh..wh.plnk\nf .wh..wh.aufs", "d d-e d/a d/b e"),
    ] {
        assert_eq!(names(&[base, upper]), expected, "{upper}");
    }
}

#[test]
fn a_hard_link_is_the_file_that_it_stands_for() {
    let layers = ["f a one\nf other 1", "h b a\nf .wh.a", "f a two"];
    assert_eq!(listed(&tree(&layers)), ["/", &file("a", "two"), &file("b", "one"), &file("other", "1")]);
}

#[test]
fn links_to_directories_are_followed_above_an_entry_and_not_at_its_end() {
    let base = "d usr/lib\nf usr/lib/a 1\ns lib usr/lib\ns abs /usr\ns up usr/../usr/lib\ns loop loop/x";
    for (upper, expected) in [
        ("f lib/b 2", "abs lib loop up usr usr/lib usr/lib/a usr/lib/b"),
        ("f abs/lib/b 2", "abs lib loop up usr usr/lib usr/lib/a usr/lib/b"),
        ("f up/.wh.a", "abs lib loop up usr usr/lib"),
        ("h b lib/a", "abs b lib loop up usr usr/lib usr/lib/a"),
        ("f .wh.lib", "abs loop up usr usr/lib usr/lib/a"),
        ("d lib\nf lib/b 2", "abs lib lib/b loop up usr usr/lib usr/lib/a"),
        ("f usr/../../../c 2", "abs c lib loop up usr usr/lib usr/lib/a"),
    ] {
        assert_eq!(names(&[base, upper]), expected, "{upper}");
    }
}

#[test]
fn layers_that_cannot_be_unpacked_are_errors() {
    for (lines, why) in [
        ("h b gone", "/b: it is a link to /gone, which is no file there"),
        ("d d\nh b d", "which is no file there"),
        ("f d/.wh.", "/d/.wh.: it hides nothing"),
        ("f d/.wh...", "/d/.wh...: it hides nothing"),
        ("f a 1\nf a/b 2", "/a/b: what is above it is no directory"),
        ("s a a\nf a/b 2", "/a/b: the links on its path lead nowhere"),
        ("s a b\ns b a\nf b/x/y 2", "lead nowhere"),
    ] {
        let error = over(Tree::default(), &tar(lines)).expect_err(lines).to_string();
        assert!(error.contains(why), "{error}");
    }
    let error = over(Tree::default(), b"no tar at all").expect_err("no tar").to_string();
    assert!(error.contains("it is no tar that can be read: at 0xd: it ends"), "{error}");
}

#[test]
fn a_path_of_any_length_and_a_tree_of_any_size_are_bounded() {
    let mut long = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(0);
    long.append_data(&mut header, "a/".repeat(3000), &b""[..]).expect("memory");
    let error = over(Tree::default(), &long.into_inner().expect("memory")).expect_err("too long").to_string();
    assert!(error.contains("a path of 6000 bytes is too long"), "{error}");
    let full = Tree { bytes: MAX_TREE_BYTES - 2 * Tree::<Digest>::ENTRY_BYTES - 1, ..Tree::default() };
    assert!(over(full.clone(), &tar("f a 1")).is_ok());
    let error = over(full, &tar("f abc 1\nf abd 1")).expect_err("full").to_string();
    assert!(error.contains("its list of files takes more than 256 MiB of memory"), "{error}");
}

#[test]
fn bytes_that_are_no_tar_never_panic() {
    let whole = tar("d d\nf d/a hello\ns l d\nf l/b x\nf d/.wh.a\nh h d/b\nf .wh..wh..opq");
    let mut random = 0x9e37_79b9_u32;
    for _ in 0..3000 {
        let mut bytes = whole.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (random >> 8) as usize % bytes.len();
            (&mut bytes[at..]).write_all(&random.to_be_bytes()[..1]).expect("a byte");
            let block = at / 512 * 512;
            let mut header = Header::from_byte_slice(&bytes[block..block + 512]).clone();
            header.set_cksum();
            bytes[block..block + 512].copy_from_slice(header.as_bytes());
        }
        let _ = over(Tree::default(), &bytes);
    }
}

#[test]
fn trees_differ_by_path_and_by_what_is_there() {
    let first = "d d\nf d/same 1\nf d/content 1\n600 f d/mode 1\ns d/target a\nf d/type 1\nf gone/file 1\nc d/device\nf d/layer 1";
    let second = "d d\nf d/same 1\nf d/content 2\n640 f d/mode 2\ns d/target b\nd d/type\nf come 1\nc d/device";
    let differs = Changes::between(&tree(&[first]), &tree(&[second, "f d/layer 1"]), &mut usize::MAX.clone());
    let listed: Vec<String> = differs.paths.iter().map(|one| format!("{:?} {} {:?}", one.change, one.path, one.differs)).collect();
    assert_eq!(
        listed,
        [
            "Added /come []",
            "Changed /d/content [Content]",
            "Changed /d/mode [Content, Mode]",
            "Changed /d/target [Target]",
            "Changed /d/type [Type]",
            "Removed /gone []",
            "Removed /gone/file []",
        ]
    );
    assert_eq!((differs.added, differs.removed, differs.changed, differs.times), (1, 2, 4, 0));
}

#[test]
fn owners_attributes_and_devices_differ_and_times_are_counted_alone() {
    let base = tree(&["f a 1\nf b 1\nf c 1\nc d\nf e 1"]);
    let mut other = base.clone();
    let mut change = |path: &[u8], how: fn(&mut Node)| how(other.nodes.get_mut(path).expect("a node"));
    change(b"a", |node| node.owner.1 = 5);
    change(b"b", |node| node.attributes = Some(Box::new(Attributes::from([(b"user.x".to_vec(), b"1".to_vec())]))));
    change(b"c", |node| node.modified.1 = 5);
    change(b"d", |node| node.what = What::CharacterDevice(1, 3));
    change(b"e", |node| (node.modified.0, node.mode) = (9, 0o600));
    let differs = Changes::between(&base, &other, &mut usize::MAX.clone());
    let aspects: Vec<&[Aspect]> = differs.paths.iter().map(|one| one.differs.as_slice()).collect();
    assert_eq!(aspects, [&[Aspect::Owner][..], &[Aspect::Attributes], &[Aspect::Device], &[Aspect::Mode]]);
    assert_eq!((differs.changed, differs.times), (4, 1));
    assert!(Changes::between(&base, &base, &mut 0).is_empty());
}

#[test]
fn paths_without_room_are_counted() {
    let mut room = 2 * size_of::<Changed>() + "/a/b".len();
    let changes = Changes::between(&Tree::default(), &tree(&["f a 1\nf b 1\nf c 1"]), &mut room);
    assert_eq!((changes.added, changes.paths.len(), changes.unlisted), (4, 2, 2));
}

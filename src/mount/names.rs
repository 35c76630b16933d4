//! [`Names`]: the directories below `images`: `<registry>/<repository…>/<tag>`, of the items that a place lists.
//!
//! **Invariants.** A name shown is never empty, `.`, `..`, longer than [`MAX_NAME_BYTES`], and has none but plain characters in it. One
//! directory has no name twice. The same contents make the same table.
//!
//! - Host and port stand as they are written: `localhost:5000`.
//! - An image that was wanted by digest alone is called `sha256-<hex>`.
//! - A tag that is a directory too, because `team/app:web` and `team/app/web:1` are both here, is shown with the colon: `:web`.
//! - Of two images of one name, the second one is called `<tag>@sha256-<hex>`.
//! - Any other character is shown as `%` and its number, and a name that is too long ends with `~` and a hash of it.
//!
//! *Not here:* what is in an image (`pictures`).

use std::collections::HashMap;

use super::numbers::{Image, MAX_ITEMS, Number, Part};
use crate::image::place::{digest_tag, tag_of};
use crate::image::{Contents, Digest};

/// The longest name that is shown, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 255;
/// What is left of a name that is longer.
const CUT_BYTES: usize = 200;

/// The directories, the first one of which is `images` itself.
pub(super) struct Names {
    folders: Vec<Folder>,
}

#[derive(Default)]
struct Folder {
    /// Sorted by name.
    children: Vec<(Box<str>, Child)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Child {
    Folder(u32),
    Image(u32),
}

/// A table in the making.
#[derive(Default)]
struct Making {
    children: Vec<HashMap<Box<str>, Child>>,
}

impl Names {
    /// The names of all items that have a root.
    pub(super) fn of(contents: &Contents) -> Self {
        let all = || (0u32..).zip(contents.items().iter().take(MAX_ITEMS)).filter(|(_, item)| item.role.is_content());
        let items = || all().filter_map(|(at, item)| Some((at, item, item.digest()?)));
        let mut making = Making { children: vec![HashMap::new()] };
        // Directories first: whether a tag is one too shows when all of them are there.
        let homes: Vec<u32> = items().map(|(_, item, _)| making.folder(item.origin.repository())).collect();
        for ((at, item, root), home) in items().zip(homes) {
            let same = |other: u32| contents.items()[other as usize].digest() == Some(root);
            making.image(home, &tag_of(&item.origin, &root), at, &root, same);
        }
        let sorted = |children: HashMap<Box<str>, Child>| {
            let mut children: Vec<_> = children.into_iter().collect();
            children.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            Folder { children }
        };
        Self { folders: making.children.into_iter().map(sorted).collect() }
    }

    /// An entry of a directory.
    pub(super) fn get(&self, folder: u32, at: usize) -> Option<(&str, Number)> {
        let (name, child) = self.folders.get(folder as usize)?.children.get(at)?;
        Some((name, child.number()))
    }

    /// The entry of a directory that has this name.
    pub(super) fn find(&self, folder: u32, name: &[u8]) -> Option<Number> {
        let children = &self.folders.get(folder as usize)?.children;
        let at = children.binary_search_by(|(there, _)| there.as_bytes().cmp(name)).ok()?;
        Some(children[at].1.number())
    }
}

impl Child {
    fn number(self) -> Number {
        match self {
            Self::Folder(folder) => Number::Folder(folder),
            Self::Image(item) => Number::Part(Image { item, platform: 0 }, Part::Folder),
        }
    }
}

impl Making {
    /// The directory of a repository.
    fn folder(&mut self, repository: &crate::image::Repository) -> u32 {
        let names = std::iter::once(repository.registry()).chain(repository.path().split('/'));
        names.fold(0, |above, name| {
            let next = self.children.len() as u32;
            let child = *self.children[above as usize].entry(shown(name).into()).or_insert(Child::Folder(next));
            match child {
                Child::Folder(folder) if folder == next => {
                    self.children.push(HashMap::new());
                    next
                }
                Child::Folder(folder) => folder,
                // Images come after all directories.
                Child::Image(_) => above,
            }
        })
    }

    /// Puts an image into its directory; not a second time if it is there under this name.
    fn image(&mut self, home: u32, tag: &str, item: u32, root: &Digest, same: impl Fn(u32) -> bool) {
        let children = &mut self.children[home as usize];
        for name in [shown(tag), format!(":{}", shown(tag)), shown(&format!("{tag}@{}", digest_tag(root)))] {
            let name = name.into_boxed_str();
            match children.get(&name) {
                None if name.starts_with(':') && !matches!(children.get(&name[1..]), Some(Child::Folder(_))) => {}
                None => {
                    children.insert(name, Child::Image(item));
                    return;
                }
                Some(Child::Image(there)) if same(*there) => return,
                Some(_) => {}
            }
        }
    }
}

/// A name as it is shown.
pub(super) fn shown(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+=@:[]".contains(&byte);
    let whole: String = match name {
        "" => "%".to_owned(),
        "." | ".." => name.replace('.', "%2E"),
        name => name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect(),
    };
    match whole.len() > MAX_NAME_BYTES {
        true => format!("{}~{}", &whole[..CUT_BYTES], Digest::of(name.as_bytes()).short()),
        false => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Descriptor, Item, Role};

    fn item(name: &str, root: &str) -> Item {
        let root = Descriptor::new("", Digest::of(root.as_bytes()), 1);
        Item { root: Some(root), ..Item::image(name.parse().expect(name)) }
    }

    /// All paths, directories with a slash, images with the number of their item.
    fn paths(names: &Names, folder: u32, above: &str) -> Vec<String> {
        let below = |(name, number): (&str, Number)| {
            assert_eq!(names.find(folder, name.as_bytes()), Some(number));
            match number {
                Number::Folder(folder) => paths(names, folder, &format!("{above}{name}/")),
                Number::Part(image, Part::Folder) => vec![format!("{above}{name} {}", image.item)],
                other => panic!("{other:?}"),
            }
        };
        (0..).map_while(|at| names.get(folder, at)).flat_map(below).collect()
    }

    fn all(items: Vec<Item>) -> Vec<String> {
        paths(&Names::of(&Contents::new(items)), 0, "")
    }

    /// The paths alone, without the numbers of items.
    fn all_paths(items: Vec<Item>) -> Vec<String> {
        all(items).into_iter().map(|path| path.split(' ').next().expect("a path").to_owned()).collect()
    }

    #[test]
    fn images_stand_below_registry_and_repository() {
        let wanted = format!("quay.io/a/b@{}", Digest::of(b"3"));
        let names =
            all_paths(vec![item("nginx:1.27", "1"), item("localhost:5000/a/b:1", "2"), item(&wanted, "3"), item("quay.io/a/b:x", "4")]);
        let by_digest = format!("quay.io/a/b/{}", digest_tag(&Digest::of(b"3")));
        assert_eq!(names, ["docker.io/library/nginx/1.27", "localhost:5000/a/b/1", &by_digest, "quay.io/a/b/x"]);
    }

    #[test]
    fn a_tag_that_is_a_directory_too_has_its_colon() {
        let names = all_paths(vec![item("quay.io/a/b:web", "1"), item("quay.io/a/b/web:1", "2")]);
        assert_eq!(names, ["quay.io/a/b/:web", "quay.io/a/b/web/1"]);
    }

    #[test]
    fn one_name_stands_for_one_image() {
        let twice = |root: &str| Item { role: Role::Release, ..item("quay.io/a/b:1", root) };
        assert_eq!(all(vec![item("quay.io/a/b:1", "1"), twice("1")]).len(), 1, "the same image");
        let pinned: Item = item(&format!("quay.io/a/b:1@{}", Digest::of(b"2")), "2");
        let names = all(vec![item("quay.io/a/b:1", "1"), pinned]);
        let second = format!("quay.io/a/b/1@{} 1", digest_tag(&Digest::of(b"2")));
        assert_eq!(names, ["quay.io/a/b/1 0".to_owned(), second]);
    }

    #[test]
    fn a_million_tags_are_a_directory_of_a_million() {
        let root = Item { root: item("a:1", "1").root, ..Item::image("quay.io/a/b:x".parse().expect("a name")) };
        let tagged = |n: u32| Item { origin: format!("quay.io/a/b:t{n}").parse().expect("a name"), ..root.clone() };
        let names = Names::of(&Contents::new((0..1_000_000).map(tagged)));
        let child = |folder, name: &str| match names.find(folder, name.as_bytes()) {
            Some(Number::Folder(folder)) => folder,
            other => panic!("{name}: {other:?}"),
        };
        let repository = ["quay.io", "a", "b"].iter().fold(0, |folder, name| child(folder, name));
        assert!(names.get(repository, 999_999).is_some() && names.get(repository, 1_000_000).is_none());
        assert!(names.find(repository, b"t777777").is_some());
    }

    #[test]
    fn hostile_names_are_shown_harmless() {
        for (name, expected) in [
            ("linux-amd64", "linux-amd64"),
            ("localhost:5000", "localhost:5000"),
            ("[::1]:5000", "[::1]:5000"),
            ("", "%"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("../x", "..%2Fx"),
            ("a\nb", "a%0Ab"),
            ("\u{1b}[31m", "%1B[31m"),
            ("ü%", "%C3%BC%25"),
        ] {
            assert_eq!(shown(name), expected);
        }
        let (long, other) = (shown(&"x".repeat(1000)), shown(&format!("{}y", "x".repeat(999))));
        assert!(long.len() <= MAX_NAME_BYTES && long != other, "{long}");
    }
}

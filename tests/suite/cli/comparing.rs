//! What the program says of how two places differ.

use super::Ocm;
use super::archive::document;
use crate::support::images::{Image, Layout};
use crate::support::layers::Layer;

/// Layouts `old` and `new` of two images under the same names, the second of which has this layer in `new`.
fn places(ocm: &Ocm, second: Layer) -> [String; 2] {
    let layer = |content: &str| Layer::files(&[("etc/a".to_owned(), content.into()), ("etc/b".to_owned(), b"1".into())]);
    for (name, layers) in [("old", [layer("1"), layer("1")]), ("new", [layer("2"), second])] {
        let layout = Layout::at(&ocm.home.path().join(name));
        for (tag, layer) in ["one", "two"].into_iter().zip(layers) {
            layout.tag(&format!("registry.example/team/{tag}:1"), &layout.image(&Image::of([layer])));
        }
    }
    ["old", "new"].map(|name| format!("oci:{}", ocm.path(name)))
}

#[test]
fn files_of_images_are_told_below_them_and_one_that_cannot_be_read_makes_it_partial() {
    let changed = "registry.example/team/one:1   0 added, 0 removed, 2 changed, 0 with other times\n  ~ /etc/a   content\n  ~ /etc/a.hard   content\n";
    for (second, code, told) in [
        (Layer::files(&[]), 0, "registry.example/team/two:1   0 added, 6 removed, 0 changed, 0 with other times\n  - /\n  - /etc\n"),
        (Layer::bytes("no tar"), 3, "registry.example/team/two:1   files could not be compared: layer sha256:"),
    ] {
        let ocm = Ocm::new();
        let [old, new] = places(&ocm, second);
        let without = ocm.run(&["diff", &old, &new]);
        assert!(without.code == Some(0) && !without.out.contains("/etc/a"), "{without:?}");
        let said = ocm.run(&["diff", "--files", &old, &new]);
        assert!(said.code == Some(code) && said.out.contains(changed) && said.out.contains(told), "{said:?}");
        let json = document(&ocm.run(&["diff", "--files", "-o", "json", &old, &new]));
        assert_eq!(
            (json["exitCode"].as_i64(), json["files"][0]["changes"]["paths"][0]["path"].as_str()),
            (Some(code.into()), Some("/etc/a"))
        );
    }
}

//! One image in full, or the sets of an archive.

use std::fmt::Write as _;

use super::list::{builds_on, platforms, short};
use crate::cli::figures::{bytes, count};
use crate::cli::safe::safe;
use crate::image::Descriptor;
use crate::workflow::inspect::{BlobView, ConfigView, ImageView, Lies, ManifestView, SetView};
use crate::workflow::label;
use crate::workflow::list::SetLine;

/// What the manifests of sets say.
pub(in crate::cli) fn sets(sets: &[SetView]) -> String {
    sets.iter().map(set).collect::<Vec<_>>().join("\n")
}

/// Whose signatures stand in a set, as they say.
fn signed(line: &SetLine) -> String {
    match line.signed_by.as_slice() {
        [] => "no".to_owned(),
        keys => format!("by {}; `ocm verify --trust` checks it", keys.join(", ")),
    }
}

fn set(view: &SetView) -> String {
    let line = &view.line;
    let name = line.lineage.as_deref().unwrap_or_default();
    let mut text = format!("set {} of \"{}\"   {}   {}\n", line.generation, safe(name), safe(&line.time), builds_on(line));
    let root = line.root.as_ref().map_or("not known".to_owned(), |root| format!("{}   ({root})", label(root)));
    field(&mut text, "root", &root);
    if line.root.is_some() {
        field(&mut text, "signed", &signed(line));
    }
    field(&mut text, "id", &line.id);
    field(&mut text, "lineage", &line.lineage_id);
    field(&mut text, "writer", &view.writer);
    field(&mut text, "cap", &format!("{} ({} bytes)", bytes(line.cap_bytes), line.cap_bytes));
    if view.needs_blobs > 0 {
        field(&mut text, "needs", &format!("{}, {}, of earlier sets", count(view.needs_blobs, "blob"), bytes(view.needs_bytes)));
    }
    let roles = view.roles.iter().map(|(role, number)| format!("{number} {role:?}").to_lowercase());
    field(&mut text, "items", &roles.collect::<Vec<_>>().join(", "));
    if line.items_complete < line.items {
        field(&mut text, "complete", &format!("{} of {}", line.items_complete, line.items));
    }
    for file in &view.files {
        let place = file.path.as_ref().map_or("elsewhere".to_owned(), |path| path.display().to_string());
        field(&mut text, "volume", &format!("{}   {}   root {}   {place}", file.number, bytes(file.bytes), label(&file.root)));
    }
    text
}

/// One image: what its name stands for, and where all of it lies.
pub(in crate::cli) fn image(view: &ImageView) -> String {
    let item = &view.item;
    let mut text = format!("{}   set {}\n", safe(&item.origin.to_string()), view.set);
    if let crate::image::State::Missing(why) = &item.state {
        field(&mut text, "missing", why);
    }
    if !item.platforms.is_empty() {
        field(&mut text, "platforms", &platforms(&item.platforms));
    }
    field(&mut text, "volumes", &lies(&view.volumes));
    if let Some(root) = &view.root {
        manifest(&mut text, root, "");
    }
    for attached in &view.attached {
        text += "attached\n";
        manifest(&mut text, attached, "  ");
    }
    text
}

fn manifest(text: &mut String, view: &ManifestView, indent: &str) {
    let descriptor = &view.descriptor;
    let kind = descriptor.artifact_type.as_deref().unwrap_or(&descriptor.media_type);
    let platform = descriptor.platform.as_ref().map_or(String::new(), |platform| format!("   {platform}"));
    let absent = if view.absent { "   not in this set" } else { "" };
    let _ = writeln!(text, "{indent}{}{}   {}{absent}", descriptor.digest, safe(&platform), safe(kind));
    if let Some(config) = &view.config {
        self::config(text, config, indent);
    }
    for (at, layer) in view.layers.iter().enumerate() {
        let _ = writeln!(text, "{indent}  layer {:<3} {}", at + 1, blob(layer));
    }
    for child in &view.manifests {
        manifest(text, child, &format!("{indent}  "));
    }
}

fn config(text: &mut String, config: &ConfigView, indent: &str) {
    let _ = writeln!(text, "{indent}  config    {}", blob(&config.blob));
    let Some(says) = &config.says else { return };
    let mut say = |name: &str, value: &str| *text += &format!("{indent}    {name:<11} {}\n", safe(value));
    say("platform", &says.platform.to_string());
    says.created.iter().for_each(|created| say("created", created));
    let Some(run) = &says.config else { return };
    run.user.iter().filter(|user| !user.is_empty()).for_each(|user| say("user", user));
    run.working_dir.iter().filter(|folder| !folder.is_empty()).for_each(|folder| say("directory", folder));
    run.entrypoint.iter().for_each(|words| say("entrypoint", &words.join(" ")));
    run.cmd.iter().for_each(|words| say("command", &words.join(" ")));
    run.env.iter().flatten().for_each(|variable| say("variable", variable));
    run.labels.iter().flatten().for_each(|(key, value)| say("label", &format!("{key}={value}")));
}

fn blob(view: &BlobView) -> String {
    let Descriptor { digest, size, media_type, .. } = &view.descriptor;
    let place = if view.descriptor.is_foreign() { "not carried: it is fetched from its URL".to_owned() } else { lies(&view.lies) };
    format!("{}   {:>9}   {place}   {}", short(digest), bytes(*size), safe(media_type))
}

/// `set 2 volume 1, 3 (elsewhere)`
pub(super) fn lies(places: &[Lies]) -> String {
    if places.is_empty() {
        return "place not known".to_owned();
    }
    let sets = places.chunk_by(|a, b| a.set == b.set).map(|of_set| {
        let volumes = of_set.iter().map(|lies| format!("{}{}", lies.volume, if lies.here { "" } else { " (elsewhere)" }));
        format!("set {} volume {}", of_set[0].set, volumes.collect::<Vec<_>>().join(", "))
    });
    sets.collect::<Vec<_>>().join("; ")
}

fn field(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<10} {}", safe(value));
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::image::{Digest, Item};
    use crate::workflow::inspect::{Execution, Highlights};

    /// An image of one layer.
    pub(in crate::cli) fn view() -> ImageView {
        let here = Lies { set: 2, volume: 1, here: true };
        let away = Lies { set: 1, volume: 3, here: false };
        let blob =
            |text: &[u8], lies: Vec<Lies>| BlobView { descriptor: Descriptor::new("application/x", Digest::of(text), 1 << 20), lies };
        let run = Execution { cmd: Some(vec!["sh".into(), "\u{1b}c".into()]), ..Execution::default() };
        let says = Highlights { created: None, platform: "linux/amd64".parse().expect("a platform"), config: Some(run) };
        let root = ManifestView {
            descriptor: Descriptor::new("application/y", Digest::of(b"root"), 9),
            absent: false,
            lies: vec![here.clone()],
            config: Some(ConfigView { blob: blob(b"config", vec![here.clone()]), says: Some(says) }),
            layers: vec![blob(b"layer", vec![away.clone()])],
            manifests: vec![],
        };
        let item = Item::image("nginx:1".parse().expect("a name"));
        ImageView { item, set: 2, root: Some(root), attached: vec![], volumes: vec![away, here] }
    }

    #[test]
    fn an_image_is_shown_with_where_its_layers_lie() {
        let (root, config, layer) = (Digest::of(b"root"), Digest::of(b"config").short(), Digest::of(b"layer").short());
        let expected = format!(
            "docker.io/library/nginx:1   set 2\n  volumes    set 1 volume 3 (elsewhere); set 2 volume 1\n{root}   application/y\n  \
             config    sha256:{config}       1 MiB   set 2 volume 1   application/x\n    \
             platform    linux/amd64\n    command     sh \\u{{1b}}c\n  \
             layer 1   sha256:{layer}       1 MiB   set 1 volume 3 (elsewhere)   application/x\n"
        );
        assert_eq!(image(&view()), expected);
    }
}

//! YAML as a tree in which every node knows its place.
//!
//! **Invariants.** What a file can cost is bounded before it is spent: nesting by [`MAX_DEPTH`], and the tree by
//! [`MAX_WEIGHT`] with every alias counted as what it stands for. Aliases and `<<` are resolved here. Only the first
//! document of a file is read, as Go programs do.
//!
//! *Not here:* which keys there are, and whether one stands twice (`wire`).

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span};

use super::finding::Findings;
use super::scalar::Meaning;
use super::source::Place;

/// How deep lists and maps may stand in each other. A configuration needs 10.
pub const MAX_DEPTH: usize = 64;

/// What the tree may weigh: the bytes of its texts, and `NODE_WEIGHT` for each node.
pub const MAX_WEIGHT: usize = 32 << 20;
const NODE_WEIGHT: usize = 64;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it begins.
    pub(super) place: Place,
    /// What it is.
    pub(super) value: Value,
    weight: usize,
    height: usize,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Value {
    /// A word or a text.
    Scalar(String, Meaning),
    /// A list.
    List(Vec<Rc<Node>>),
    /// A map, in the order of the file; what `<<` brought stands last.
    Map(Vec<Pair>),
}

/// A key of a map with its value.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    /// The key as it is written.
    pub(super) key: Rc<str>,
    /// Where the key stands.
    pub(super) place: Place,
    /// The value.
    pub(super) value: Rc<Node>,
}

/// Reads the first document of `text`; an empty one is null. `None` where a finding says why there is no tree.
pub(super) fn parse(text: &str, findings: &mut Findings) -> Option<Rc<Node>> {
    let mut options = Options::default();
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut builder = Builder::default();
    for next in Parser::new_from_str_with_options(text, options) {
        let taken = match next {
            Ok((Event::DocumentEnd | Event::StreamEnd, _)) => break,
            Ok((event, span)) => builder.take(event, place(&span)),
            Err(error) => Err(refused(&error)),
        };
        if let Err(Refused { place, what, help }) = taken {
            findings.error(place, what).help(help);
            return None;
        }
    }
    Some(builder.root.unwrap_or_else(|| Rc::new(Node::scalar(String::new(), Meaning::Null, Place { line: 1, column: 1, width: 1 }))))
}

/// Why there is no tree.
struct Refused {
    place: Place,
    what: String,
    help: &'static str,
}

fn refused(error: &ScanError) -> Refused {
    let mark = error.marker();
    let place = Place { line: mark.line(), column: mark.col() + 1, width: 1 };
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(place),
        _ => Refused { place, what: format!("not YAML: {}", error.info()), help: "" },
    }
}

fn too_deep(place: Place) -> Refused {
    Refused { place, what: format!("lists and maps stand more than {MAX_DEPTH} deep in each other"), help: "" }
}

fn place(span: &Span) -> Place {
    let (start, end) = (span.start, span.end);
    let width = if start.line() == end.line() { end.col().saturating_sub(start.col()) } else { 1 };
    Place { line: start.line(), column: start.col() + 1, width: width.max(1) }
}

impl Node {
    fn scalar(text: String, meaning: Meaning, place: Place) -> Self {
        Self { place, weight: NODE_WEIGHT + text.len(), height: 0, value: Value::Scalar(text, meaning) }
    }

    fn list(place: Place, items: Vec<Rc<Node>>) -> Self {
        let (weight, height) = sums(items.iter());
        Self { place, value: Value::List(items), weight, height }
    }

    fn map(place: Place, pairs: Vec<Pair>) -> Self {
        let (weight, height) = sums(pairs.iter().map(|pair| &pair.value));
        let keys: usize = pairs.iter().map(|pair| pair.key.len()).sum();
        Self { place, value: Value::Map(pairs), weight: weight.saturating_add(keys), height }
    }

    /// Whether nothing is written.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::Scalar(_, Meaning::Null))
    }

    /// What a person would call it.
    pub(super) fn noun(&self) -> &'static str {
        match &self.value {
            Value::Scalar(_, meaning) => meaning.noun(),
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Weight and height of what holds these.
fn sums<'a>(children: impl Iterator<Item = &'a Rc<Node>>) -> (usize, usize) {
    children.fold((NODE_WEIGHT, 1), |(weight, height), child| (weight.saturating_add(child.weight), height.max(child.height + 1)))
}

/// Makes the tree out of the parser's events.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
    weight: usize,
}

/// A list or map whose end has not come.
struct Open {
    place: Place,
    anchor: usize,
    what: Inside,
}

enum Inside {
    List(Vec<Rc<Node>>),
    Map { pairs: Vec<Pair>, key: Option<Key>, merged: Vec<Rc<Node>> },
}

/// A key whose value has not come.
enum Key {
    /// `<<`, which takes in other maps.
    Merge,
    Name(Rc<str>, Place),
}

impl Builder {
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Refused> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                // Without a tag a plain word means something; `!!str`, and tags that nobody knows, make text of it.
                let speaks = match tag {
                    Some(tag) => tag.core_suffix().is_some_and(|suffix| suffix != "str"),
                    None => style == ScalarStyle::Plain,
                };
                let meaning = if speaks { Meaning::of(&text) } else { Meaning::Text };
                if style == ScalarStyle::Plain && text == "<<" && self.begins_merge() {
                    return Ok(());
                }
                self.close(Node::scalar(text.into_owned(), meaning, place), anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.open(place, anchor, Inside::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => self.open(place, anchor, Inside::Map { pairs: Vec::new(), key: None, merged: Vec::new() }),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { place, anchor, what: Inside::List(items) }) => self.close(Node::list(place, items), anchor),
                Some(Open { place, anchor, what: Inside::Map { pairs, merged, .. } }) => {
                    let pairs = self.merge(pairs, &merged)?;
                    self.close(Node::map(place, pairs), anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => self.alias(anchor, place),
            _ => Ok(()),
        }
    }

    fn open(&mut self, place: Place, anchor: usize, what: Inside) -> Result<(), Refused> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(place));
        }
        self.open.push(Open { place, anchor, what });
        Ok(())
    }

    /// Takes `<<` for a key, where a key can stand.
    fn begins_merge(&mut self) -> bool {
        match self.open.last_mut().map(|open| &mut open.what) {
            Some(Inside::Map { key: key @ None, .. }) => {
                *key = Some(Key::Merge);
                true
            }
            _ => false,
        }
    }

    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Refused> {
        let own = match &node.value {
            Value::Scalar(text, _) => NODE_WEIGHT + text.len(),
            _ => NODE_WEIGHT,
        };
        self.weigh(own, node.place)?;
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.attach(node)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Refused> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(Refused { place, what: "an alias stands inside of what it stands for".to_owned(), help: "" });
        };
        if self.open.len() + node.height > MAX_DEPTH {
            return Err(too_deep(place));
        }
        self.weigh(node.weight, place)?;
        self.attach(node)
    }

    fn weigh(&mut self, more: usize, place: Place) -> Result<(), Refused> {
        self.weight = self.weight.saturating_add(more);
        if self.weight <= MAX_WEIGHT {
            return Ok(());
        }
        Err(Refused { place, what: format!("more than {} MiB, aliases counted as what they stand for", MAX_WEIGHT >> 20), help: "" })
    }

    /// Hands a node to the list or map that it stands in.
    fn attach(&mut self, node: Rc<Node>) -> Result<(), Refused> {
        match self.open.last_mut().map(|open| &mut open.what) {
            None => self.root = Some(node),
            Some(Inside::List(items)) => items.push(node),
            Some(Inside::Map { pairs, key, merged }) => match key.take() {
                Some(Key::Merge) => merged.push(node),
                Some(Key::Name(key, place)) => pairs.push(Pair { key, place, value: node }),
                None => match &node.value {
                    Value::Scalar(text, _) => *key = Some(Key::Name(Rc::from(text.as_str()), node.place)),
                    _ => {
                        return Err(Refused {
                            place: node.place,
                            what: "a key is text".to_owned(),
                            help: "render it first, if this is a template",
                        });
                    }
                },
            },
        }
        Ok(())
    }

    /// The pairs of a map with those that `<<` brings; what the map says itself wins, then what was named first.
    fn merge(&mut self, mut pairs: Vec<Pair>, merged: &[Rc<Node>]) -> Result<Vec<Pair>, Refused> {
        if merged.is_empty() {
            return Ok(pairs);
        }
        let mut known: HashSet<Rc<str>> = pairs.iter().map(|pair| Rc::clone(&pair.key)).collect();
        for node in merged {
            let single = std::slice::from_ref(node);
            let maps = if let Value::List(maps) = &node.value { maps.as_slice() } else { single };
            for map in maps {
                let Value::Map(more) = &map.value else {
                    return Err(Refused { place: map.place, what: "<< takes a map".to_owned(), help: "" });
                };
                for pair in more.iter().filter(|pair| known.insert(Rc::clone(&pair.key))) {
                    self.weigh(pair.value.weight + pair.key.len(), map.place)?;
                    pairs.push(pair.clone());
                }
            }
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rc<Node>, String> {
        let mut findings = Findings::default();
        let node = parse(text, &mut findings);
        let found = findings.finish(false);
        node.ok_or_else(|| {
            found.into_iter().map(|finding| format!("{}:{}: {}", finding.place.line, finding.place.column, finding.what)).collect()
        })
    }

    /// The tree in one line: `{a: [1, x]}`.
    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Scalar(text, _) => text.clone(),
            Value::List(items) => format!("[{}]", items.iter().map(|item| shown(item)).collect::<Vec<_>>().join(", ")),
            Value::Map(pairs) => {
                format!("{{{}}}", pairs.iter().map(|pair| format!("{}: {}", pair.key, shown(&pair.value))).collect::<Vec<_>>().join(", "))
            }
        }
    }

    #[test]
    fn nodes_know_their_places() {
        let root = read("a:\n  - näme: x\n    other: yes\n").expect("a tree");
        let Value::Map(pairs) = &root.value else { panic!("{root:?}") };
        let Value::List(items) = &pairs[0].value.value else { panic!("{root:?}") };
        let Value::Map(pairs) = &items[0].value else { panic!("{root:?}") };
        assert_eq!(pairs[0].place, Place { line: 2, column: 5, width: 4 });
        assert_eq!(pairs[1].value.place, Place { line: 3, column: 12, width: 3 });
        assert!(matches!(pairs[1].value.value, Value::Scalar(_, Meaning::Bool(true))));
    }

    #[test]
    fn quotes_and_tags_make_text() {
        for text in ["\"yes\"", "'yes'", "!!str yes", "!mine yes", "|-\n  yes"] {
            let node = read(text).expect(text);
            assert!(matches!(&node.value, Value::Scalar(word, Meaning::Text) if word == "yes"), "{text}: {node:?}");
        }
    }

    #[test]
    fn aliases_and_merge_keys_are_resolved() {
        let text = "x: &x {a: 1, b: 2}\ny: {b: 3, <<: *x}\nz: {<<: [{a: 7}, *x], c: *x}\n";
        assert_eq!(shown(&read(text).expect("a tree")), "{x: {a: 1, b: 2}, y: {b: 3, a: 1}, z: {c: {a: 1, b: 2}, a: 7, b: 2}}");
        assert_eq!(read("<<: 1").expect_err("no map"), "1:5: << takes a map");
        assert_eq!(read("&a [*a]").expect_err("a circle"), "1:5: an alias stands inside of what it stands for");
    }

    #[test]
    fn only_the_first_document_is_read() {
        assert_eq!(shown(&read("--- {a: 1}\n---\n{{{ not yaml").expect("a tree")), "{a: 1}");
        assert!(read("").expect("a tree").is_null());
        assert!(read("# nothing\n").expect("a tree").is_null());
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_place() {
        for (text, place) in [("a: [1,\nb: 2", "1:4:"), ("a:\n\t- b", "2:"), ("a: b: c", "1:"), ("? [a]\n: b", "1:"), ("a: *b", "1:4:")] {
            let why = read(text).expect_err(text);
            assert!(why.starts_with(place), "{text:?}: {why}");
        }
    }

    #[test]
    fn a_bomb_of_aliases_costs_nothing() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..40 {
            let below = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(","));
        }
        assert!(read(&text).expect_err("a bomb").contains("more than 32 MiB"));
        let long = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 20), vec!["*a"; 1000].join(","));
        assert!(read(&long).expect_err("a bomb").contains("more than 32 MiB"));
    }

    #[test]
    fn nesting_is_bounded_in_every_style() {
        for deep in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
            assert!(read(&deep).expect_err("too deep").contains("more than 64 deep"), "{}", &deep[..4]);
        }
        let chain: String = (1..100).map(|level| format!("a{level}: &a{level} [*a{}]\n", level - 1)).collect();
        assert!(read(&format!("a0: &a0 x\n{chain}")).expect_err("too deep").contains("more than 64 deep"));
    }
}

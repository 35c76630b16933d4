//! [`Wire`]: how a type of the configuration is read from YAML; and `wire!`, which says a map's fields once for all.
//!
//! **Invariants.** The struct, what is read into it, and what editors are told of it (`schema`) come from one declaration,
//! so they cannot disagree. All that is wrong is reported, and reading goes on. Every value keeps its place.
//!
//! *Not here:* what values must be among each other (beside each kind of content).

use serde_json::Value as Json;

use super::finding::{Findings, quoted};
use super::path::Path;
use super::scalar::Meaning;
use super::source::Place;
use super::unknown;
use super::yaml::{Node, Pair, Value};

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
    /// Where its key stands; of an entry of a list, where that stands.
    pub key: Place,
}

/// What a type looks like in a file.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Text,
    Bool,
    Whole,
    /// Whatever is there.
    Free,
    List(Box<Shape>),
    Map {
        name: &'static str,
        about: String,
        fields: Vec<Field>,
    },
}

/// One field of a map.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) about: String,
    pub(super) required: bool,
    pub(super) shape: Shape,
}

/// A type that can stand in a configuration.
pub(super) trait Wire: Sized {
    /// What it looks like.
    fn shape() -> Shape;

    /// Reads it. `None` where a finding says why not.
    fn read(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Self>;
}

/// Declares a map of the configuration: its struct, its reader and its shape.
///
/// Each field is `name: Type = "key"`, with `(required)` behind it where it must be there; doc comments are what editors show.
macro_rules! wire {
    ($(#[doc = $about:literal])+ $vis:vis $name:ident { $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $key:literal $(($required:ident))?,)* }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Default, PartialEq)]
        $vis struct $name {
            $($(#[doc = $doc])+ pub $field: Option<$crate::config::wire::At<$type>>,)*
        }

        impl $crate::config::wire::Wire for $name {
            fn shape() -> $crate::config::wire::Shape {
                $crate::config::wire::Shape::Map {
                    name: stringify!($name),
                    about: $crate::config::wire::sentence(&[$($about),+]),
                    fields: vec![$($crate::config::wire::Field {
                        key: $key,
                        about: $crate::config::wire::sentence(&[$($doc),+]),
                        required: stringify!($($required)?) == "required",
                        shape: <$type as $crate::config::wire::Wire>::shape(),
                    }),*],
                }
            }

            fn read(
                node: &$crate::config::yaml::Node,
                path: &$crate::config::path::Path<'_>,
                findings: &mut $crate::config::finding::Findings,
            ) -> Option<Self> {
                let map = $crate::config::wire::Map::of(node, path, &[$($key),*], findings)?;
                $($(map.$required($key, findings);)?)*
                Some(Self { $($field: map.field($key, findings)),* })
            }
        }
    };
}
pub(super) use wire;

/// The lines of a doc comment as one.
pub(super) fn sentence(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

/// A map whose keys are known ones.
pub(super) struct Map<'a> {
    node: &'a Node,
    path: &'a Path<'a>,
    pairs: Vec<(&'static str, &'a Pair)>,
}

impl<'a> Map<'a> {
    /// Takes a map apart and reports its keys that are unknown, stand twice, or are written in another case.
    pub(super) fn of(node: &'a Node, path: &'a Path<'a>, keys: &[&'static str], findings: &mut Findings) -> Option<Self> {
        let mut map = Self { node, path, pairs: Vec::new() };
        let pairs = match &node.value {
            Value::Map(pairs) => pairs.as_slice(),
            _ if node.is_null() => &[],
            _ => {
                findings.error(node.place, format!("{path} is {}, not a map", node.noun()));
                return None;
            }
        };
        for pair in pairs {
            let Some(key) = keys.iter().find(|key| key.eq_ignore_ascii_case(&pair.key)) else {
                unknown::report(pair, path, keys, findings);
                continue;
            };
            if map.pair(key).is_some() {
                findings.error(pair.place, format!("duplicate field {} in {path}", quoted(&pair.key))).help("leave one of them");
                continue;
            }
            if **key != *pair.key {
                findings
                    .warning(pair.place, format!("field {} in {path} is written {key}", quoted(&pair.key)))
                    .help(format!("write {key}"));
            }
            map.pairs.push((key, pair));
        }
        Some(map)
    }

    /// Reads a field; one without a value is not there.
    pub(super) fn field<T: Wire>(&self, key: &'static str, findings: &mut Findings) -> Option<At<T>> {
        let pair = self.pair(key).filter(|pair| !pair.value.is_null())?;
        let value = T::read(&pair.value, &self.path.key(key), findings)?;
        Some(At { value, place: pair.value.place, key: pair.place })
    }

    /// Reports a field that is not there or has no value.
    pub(super) fn required(&self, key: &'static str, findings: &mut Findings) {
        let pair = self.pair(key);
        let is_there =
            pair.is_some_and(|pair| !pair.value.is_null() && !matches!(&pair.value.value, Value::Scalar(text, _) if text.is_empty()));
        if !is_there {
            let place = pair.map_or(self.node.place, |pair| pair.place);
            findings.error(place, format!("{} has no {key}", self.path));
        }
    }

    fn pair(&self, key: &str) -> Option<&'a Pair> {
        self.pairs.iter().find(|(known, _)| *known == key).map(|(_, pair)| *pair)
    }
}

impl Wire for String {
    fn shape() -> Shape {
        Shape::Text
    }

    fn read(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Self> {
        match &node.value {
            Value::Scalar(text, Meaning::Text) => return Some(text.clone()),
            Value::Scalar(text, meaning @ (Meaning::Bool(_) | Meaning::Whole(_) | Meaning::Number(_))) => {
                let what = format!("{path}: {} without quotation marks is {}, not text", quoted(text), meaning.noun());
                findings.error(node.place, what).help(format!("write {}", quoted(text)));
            }
            _ => {
                findings.error(node.place, format!("{path} is {}, not text", node.noun()));
            }
        }
        None
    }
}

impl Wire for bool {
    fn shape() -> Shape {
        Shape::Bool
    }

    fn read(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Self> {
        if let Value::Scalar(_, Meaning::Bool(value)) = node.value {
            return Some(value);
        }
        findings.error(node.place, format!("{path} is {}, not true or false", node.noun())).help("write true or false");
        None
    }
}

impl Wire for i64 {
    fn shape() -> Shape {
        Shape::Whole
    }

    fn read(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Self> {
        match node.value {
            Value::Scalar(_, Meaning::Whole(value)) => return Some(value),
            // `5e2` is as whole as 500; up to here every whole number is exact.
            Value::Scalar(_, Meaning::Number(value)) if value.fract() == 0.0 && value.abs() < 9e15 => return Some(value as i64),
            Value::Scalar(_, Meaning::Number(_)) => findings.error(node.place, format!("{path} is not a whole number")),
            _ => findings.error(node.place, format!("{path} is {}, not a whole number", node.noun())),
        };
        None
    }
}

impl<T: Wire> Wire for Vec<At<T>> {
    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }

    fn read(node: &Node, path: &Path<'_>, findings: &mut Findings) -> Option<Self> {
        let Value::List(items) = &node.value else {
            findings.error(node.place, format!("{path} is {}, not a list", node.noun())).help("begin each entry with -");
            return None;
        };
        let read = |(index, item): (usize, &std::rc::Rc<Node>)| {
            let value = T::read(item, &path.index(index), findings)?;
            Some(At { value, place: item.place, key: item.place })
        };
        Some(items.iter().enumerate().filter_map(read).collect())
    }
}

impl Wire for Json {
    fn shape() -> Shape {
        Shape::Free
    }

    fn read(node: &Node, _: &Path<'_>, _: &mut Findings) -> Option<Self> {
        Some(json(node))
    }
}

fn json(node: &Node) -> Json {
    match &node.value {
        Value::Scalar(_, Meaning::Null) => Json::Null,
        Value::Scalar(_, Meaning::Bool(value)) => (*value).into(),
        Value::Scalar(_, Meaning::Whole(value)) => (*value).into(),
        Value::Scalar(_, Meaning::Number(value)) => (*value).into(),
        Value::Scalar(text, Meaning::Text) => text.as_str().into(),
        Value::List(items) => items.iter().map(|item| json(item)).collect(),
        Value::Map(pairs) => pairs.iter().map(|pair| (pair.key.to_string(), json(&pair.value))).collect(),
    }
}

//! The JSON schema of both documents, for editors.
//!
//! **Invariants.** Made of the declarations that the reader is made of (`wire!`): a field that one knows, the other knows.
//! It is as strict as `ocm config check --strict`: keys in their own case alone.

use serde_json::{Map, Value, json};

use super::document::{DeleteImageSetConfiguration, ImageSetConfiguration, Kind};
use super::wire::{Field, Shape, Wire as _};

/// The schema, draft 07, which editors know best.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let image_set = document(Kind::ImageSet, ImageSetConfiguration::shape(), &mut definitions);
    let delete = document(Kind::DeleteImageSet, DeleteImageSetConfiguration::shape(), &mut definitions);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "What is to be mirrored, or deleted: mirror.openshift.io/v2alpha1",
        "if": { "properties": { "kind": { "const": Kind::DeleteImageSet.word() } }, "required": ["kind"] },
        "then": delete,
        "else": image_set,
        "definitions": definitions,
    })
}

fn document(kind: Kind, shape: Shape, definitions: &mut Map<String, Value>) -> Value {
    let mut document = inline(shape, definitions);
    document["properties"]["kind"]["const"] = kind.word().into();
    document["properties"]["apiVersion"]["const"] = super::document::API_VERSION.into();
    document["required"] = json!(["apiVersion", "kind", kind.stanza()]);
    document
}

/// A shape where it stands; maps are named once and referred to.
fn of(shape: Shape, definitions: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Map { name, .. } => {
            if !definitions.contains_key(name) {
                let inline = inline(shape, definitions);
                definitions.insert(name.to_owned(), inline);
            }
            json!({ "$ref": format!("#/definitions/{name}") })
        }
        shape => inline(shape, definitions),
    }
}

fn inline(shape: Shape, definitions: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Whole => json!({ "type": "integer" }),
        Shape::Free => json!({}),
        Shape::List(entry) => json!({ "type": ["array", "null"], "items": of(*entry, definitions) }),
        Shape::Map { about, fields, .. } => map(&about, fields, definitions),
    }
}

fn map(about: &str, fields: Vec<Field>, definitions: &mut Map<String, Value>) -> Value {
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.key).collect();
    let mut map = json!({ "description": about, "type": ["object", "null"], "additionalProperties": false });
    if !required.is_empty() {
        map["required"] = json!(required);
    }
    map["properties"] = fields.into_iter().map(|field| (field.key.to_owned(), property(field, definitions))).collect::<Map<_, _>>().into();
    map
}

/// In draft 07 nothing beside `$ref` counts, so a description needs a wrapper there.
fn property(field: Field, definitions: &mut Map<String, Value>) -> Value {
    let mut property = of(field.shape, definitions);
    if property.get("$ref").is_some() {
        property = json!({ "allOf": [property] });
    }
    property["description"] = field.about.into();
    property
}

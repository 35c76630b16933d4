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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, check};

    /// What may stand for a schema in a file: an entry of each list, all fields of each map.
    fn example(schema: &Value, definitions: &Value) -> Value {
        if let Some(name) = schema["$ref"].as_str().or(schema["allOf"][0]["$ref"].as_str()) {
            return example(&definitions[name.trim_start_matches("#/definitions/")], definitions);
        }
        if let Some(only) = schema.get("const") {
            return only.clone();
        }
        if let Some(properties) = schema["properties"].as_object() {
            return properties.iter().map(|(key, schema)| (key.clone(), example(schema, definitions))).collect::<Map<_, _>>().into();
        }
        match (schema["type"].as_str(), schema.get("items")) {
            (_, Some(entry)) => json!([example(entry, definitions)]),
            (Some("boolean"), _) => json!(true),
            (Some("integer"), _) => json!(7),
            (Some(_), _) => json!("1.2.3"),
            (None, _) => json!({ "any": ["thing"] }),
        }
    }

    #[test]
    fn every_field_that_editors_offer_is_one_that_is_read() {
        let schema = schema();
        for document in [&schema["then"], &schema["else"]] {
            let text = example(document, &schema["definitions"]).to_string();
            let checked = check(Source::new("f", text.clone().into_bytes()).expect("text"), false);
            let unknown: Vec<&str> = checked.findings.iter().map(|finding| finding.what.as_str()).filter(|what| !is_rule(what)).collect();
            assert!(unknown.is_empty(), "{unknown:?} in {text}");
        }
    }

    /// What an example of everything at once breaks: rules on values, not on fields.
    fn is_rule(what: &str) -> bool {
        ["cannot be used together", "mixing both", "has no effect", "neither tag nor digest", "means ocp"]
            .iter()
            .any(|rule| what.contains(rule))
    }

    #[test]
    fn fields_are_explained_and_closed() {
        let schema = schema();
        let definitions = schema["definitions"].as_object().expect("definitions").values();
        for map in definitions.chain([&schema["then"], &schema["else"]]) {
            assert_eq!(map["additionalProperties"], json!(false), "{map}");
            for (key, field) in map["properties"].as_object().expect("fields") {
                let about = field["description"].as_str().unwrap_or_default();
                assert!(!about.is_empty() && !about.ends_with('.'), "{key}: {about:?}");
            }
        }
        assert_eq!(schema["definitions"]["ImageEntry"]["required"], json!(["name"]));
        assert_eq!(schema["else"]["required"], json!(["apiVersion", "kind", "mirror"]));
    }
}

//! What the reports of all commands are held to: schemas, and the markup that build servers read.

use jsonschema::Validator;
use serde_json::Value;

use crate::report::json_schema;

/// Checks documents against `schema`, which may name that of runs.
pub(crate) fn validator(schema: &str) -> Validator {
    let [schema, of_run] = [schema, json_schema()].map(|text| serde_json::from_str(text).unwrap());
    let schema: Value = schema;
    let registry = jsonschema::Registry::new().add("urn:maxq:run:1", of_run).unwrap();
    let registry = registry.prepare().unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::options().with_registry(&registry).build(&schema).unwrap()
}

/// What of a document breaks its schema.
pub(crate) fn violations(validator: &Validator, document: &Value) -> Vec<String> {
    let errors = validator.iter_errors(document);
    errors.map(|error| format!("{}: {:.200}", error.instance_path(), error.to_string())).collect()
}

/// The parser of a build server, as strict as it must be: tags that match, no stray markup, no control characters.
pub(crate) fn tags(xml: &str) -> Vec<String> {
    let (mut open, mut seen) = (Vec::new(), Vec::new());
    let mut rest = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    assert!(rest.chars().all(|c| !c.is_control() || c == '\n'));
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        for part in text.split('&').skip(1) {
            assert!(
                ["amp;", "lt;", "gt;", "quot;", "apos;"].iter().any(|e| part.starts_with(e)),
                "{part}"
            );
        }
        let end = tag.find('>').unwrap();
        let inner = &tag[1..end];
        assert!(!inner.contains('<') && inner.matches('"').count() % 2 == 0, "{inner}");
        let name: String = inner
            .trim_start_matches('/')
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '-')
            .collect();
        if inner.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else {
            if !inner.ends_with('/') {
                open.push(name.clone());
            }
            seen.push(name);
        }
        rest = &tag[end + 1..];
    }
    assert!(open.is_empty(), "{open:?}");
    seen
}

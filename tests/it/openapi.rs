//! Checks answers against the OpenAPI description of the Genesys Cloud API.

use std::sync::LazyLock;

use serde_json::{Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document: Value = serde_json::from_str(include_str!("../genesys-openapi.json")).unwrap();
    // Unknown fields are allowed by the document, and expected in the field. The simulator shall not
    // invent any by mistake, though: the one it sends on purpose is named here.
    document["components"]["schemas"]["Recording"]["properties"]["externalContacts"] = json!({});
    for name in [
        "Recording",
        "RecordingMetadata",
        "MediaResult",
        "ErrorBody",
        "RecordingSettings",
        "BatchDownloadJobSubmissionResult",
        "BatchDownloadJobStatusResult",
        "BatchDownloadJobResult",
    ] {
        document["components"]["schemas"][name]["additionalProperties"] = json!(false);
    }
    document
});

/// Fails unless `body` is what the document declares for this status of this operation.
pub(crate) fn assert_declared(method: &str, path: &str, status: u16, body: &[u8]) {
    let mut response = &DOCUMENT["paths"][path][method]["responses"][status.to_string()];
    assert!(response.is_object(), "{method} {path} declares no {status}");
    if let Some(reference) = response["$ref"].as_str() {
        response = DOCUMENT.pointer(&reference[1..]).unwrap();
    }
    match response["content"]["application/json"].get("schema") {
        Some(schema) => assert_valid(schema, &serde_json::from_slice(body).unwrap()),
        None => assert_eq!(body, b"", "{method} {path} declares no body for {status}"),
    }
}

/// Fails unless `value` is an instance of the schema of this name.
pub(crate) fn assert_is(name: &str, value: &Value) {
    assert_valid(&json!({ "$ref": format!("#/components/schemas/{name}") }), value);
}

fn assert_valid(schema: &Value, value: &Value) {
    let schema = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\nin {value:#}");
}

#[test]
#[should_panic(expected = "invented")]
fn a_field_that_is_not_in_the_document_is_noticed() {
    assert_is(
        "RecordingMetadata",
        &json!({ "fileState": "AVAILABLE", "invented": 1 }),
    );
}

#[test]
#[should_panic(expected = "/fileState")]
fn a_value_that_is_not_in_the_document_is_noticed() {
    assert_is("RecordingMetadata", &json!({ "fileState": "available" }));
}

#[test]
#[should_panic(expected = "/deleteDate")]
fn a_date_that_is_none_is_noticed() {
    assert_is("RecordingMetadata", &json!({ "deleteDate": "tomorrow" }));
}

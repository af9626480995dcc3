//! The committed OpenAPI document.

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
/// Set to write the document anew.
const UPDATE: &str = "UPDATE_OPENAPI";

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let mut served = gateway::api::document().to_pretty_json().unwrap();
    served.push('\n');
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(SNAPSHOT, &served).unwrap();
    }
    let committed = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    assert!(
        committed == served,
        "the API changed; update with: {UPDATE}=1 cargo test -p socializioz-gateway openapi"
    );
}

#[test]
fn every_operation_documents_its_failures_and_every_post_its_key() {
    let document = serde_json::to_value(gateway::api::document()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| value.get("responses").is_some())
        {
            let responses = operation["responses"].as_object().unwrap();
            for status in ["401", "404", "429", "500", "503"] {
                assert!(
                    responses[status]["content"]["application/problem+json"].is_object(),
                    "{verb} {path} {status}"
                );
            }
            for header in ["Retry-After", "RateLimit", "RateLimit-Policy"] {
                assert!(
                    responses["429"]["headers"][header].is_object(),
                    "{verb} {path} {header}"
                );
            }
            let keyed = operation["parameters"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one["name"] == "Idempotency-Key"));
            assert_eq!(keyed, verb == "post", "{verb} {path}");
            assert!(
                !operation["summary"].as_str().unwrap_or_default().is_empty(),
                "{verb} {path} says nothing"
            );
        }
    }
}

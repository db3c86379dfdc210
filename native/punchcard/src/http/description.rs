//! Completion of the interface's description by what its parts have in common.

use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{AdditionalProperties, Schema};
use utoipa::openapi::{OpenApi, PathItem, RefOr};

use super::problem::MEDIA_TYPE;

/// Completes the description: errors are problems, operations have unique ids, and work has no unknown fields.
pub fn complete(openapi: &mut OpenApi) {
    for (path, item) in &mut openapi.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(id_of(method, path));
            describe_problems(operation);
        }
    }
    let schemas = openapi.components.as_mut().map(|components| &mut components.schemas);
    if let Some(RefOr::T(Schema::OneOf(work))) = schemas.and_then(|all| all.get_mut("Work")) {
        for kind in &mut work.items {
            if let RefOr::T(Schema::Object(object)) = kind {
                object.additional_properties =
                    Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Returns an id such as `get_jobs_id_log`.
fn id_of(method: &str, path: &str) -> String {
    let parts = path.trim_start_matches("/api/v1").split(['/', '{', '}', '.']);
    let parts = std::iter::once(method).chain(parts.filter(|part| !part.is_empty()));
    parts.collect::<Vec<_>>().join("_")
}

fn describe_problems(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert(MEDIA_TYPE.to_owned(), content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::id_of;

    #[test]
    fn an_id_has_the_method_and_the_path() {
        assert_eq!(id_of("get", "/api/v1/jobs/{id}/log/stream"), "get_jobs_id_log_stream");
        assert_eq!(id_of("get", "/healthz"), "get_healthz");
    }
}

//! Completion of the interface's description by what its parts have in common.

use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder};
use utoipa::openapi::security::{SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi, PathItem, RefOr};

use super::problem::MEDIA_TYPE;

/// Completes the description: who may call an operation, errors are problems, streams consist of messages, operations
/// have unique ids, and work has no unknown fields. `cookie` is the name of the web page's cookie.
pub fn complete(openapi: &mut OpenApi, cookie: &str) {
    add_security(openapi, cookie);
    for (path, item) in &mut openapi.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(id_of(method, path));
            describe_answers(operation);
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

/// Adds the schemes: a token for all operations, and the cookie of the web page for those that read.
fn add_security(openapi: &mut OpenApi, cookie: &str) {
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let session = ApiKeyValue::with_description(
        cookie,
        "The cookie of the web page, which the form at /sign-in sets. It serves to read.",
    );
    let components = openapi.components.get_or_insert_with(Default::default);
    components.add_security_scheme("token", SecurityScheme::Http(token));
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    let reads = openapi.paths.paths.values_mut().filter_map(|PathItem { get, .. }| get.as_mut());
    // The description as a whole asks for a token; an operation with a list of its own is public.
    for operation in reads.filter(|operation| operation.security.is_none()) {
        let either = ["token", "session"].map(|name| SecurityRequirement::new(name, [""; 0]));
        operation.security = Some(either.into());
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
    let parts = path.strip_prefix("/api/v1").unwrap_or(path).split(['/', '{', '}', '.']);
    let parts = std::iter::once(method).chain(parts.filter(|part| !part.is_empty()));
    parts.collect::<Vec<_>>().join("_")
}

fn describe_answers(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5'])
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert(MEDIA_TYPE.to_owned(), content);
        }
        if let Some(RefOr::T(stream)) = response.content.get_mut("text/event-stream") {
            stream.schema = Some(message().into());
        }
    }
}

/// Describes a message of a stream; `data` is JSON.
fn message() -> Object {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    ObjectBuilder::new()
        .property("event", text())
        .property("id", text())
        .property("data", text())
        .required("event")
        .required("data")
        .build()
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

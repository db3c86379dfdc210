//! JSON of requests and answers.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_path_to_error::Path;

use super::body::read_all;
use super::misfit::plain;
use super::{App, Problem};

/// A JSON body, with its bytes.
#[derive(Debug)]
pub struct Json<T> {
    /// The value.
    pub value: T,
    /// The bytes from which it was read.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or("").split(';').next().unwrap_or("").trim();
        // A page of another site can send a form, but not this type.
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::unsupported("the body must have the type application/json"));
        }
        let bytes = read_all(app, request.into_body()).await?;
        Ok(Self { value: parse(&bytes)?, bytes })
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde would read the fields of an object from an array.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::invalid("the body must be an object, not an array"));
    }
    let malformed =
        |error: &serde_json::Error| Problem::malformed(format!("the body is not JSON: {error}"));
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let cause = error.inner();
        if !cause.is_data() {
            return malformed(cause);
        }
        let text = cause.to_string();
        match field_of(error.path(), &text) {
            Some(field) => Problem::invalid_field(field, plain(&text)),
            None => Problem::invalid(format!("the body {}", plain(&text))),
        }
    })?;
    parser.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// Returns the field at which reading failed, none for the whole value. Serde's path to a missing or repeated field, or to
/// an unknown one of a tagged object, ends above it, and its text has the name.
pub(super) fn field_of(path: &Path, text: &str) -> Option<String> {
    let name = ["missing field `", "unknown field `", "duplicate field `"]
        .into_iter()
        .find_map(|start| text.strip_prefix(start)?.split('`').next());
    let path = path.to_string();
    match (path.as_str(), name) {
        (".", None) => None,
        (".", Some(name)) => Some(name.to_owned()),
        (path, Some(name)) if path == name || path.ends_with(&format!(".{name}")) => {
            Some(path.to_owned())
        }
        (path, Some(name)) => Some(format!("{path}.{name}")),
        (path, None) => Some(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::job::JobRequest;

    #[test]
    fn the_field_that_does_not_fit_is_named() {
        let work = r#"{"kind": "program", "file": "f"}"#;
        for (body, field) in [
            (format!(r#"{{"name": "n", "work": {work}, "misspelt": 1}}"#), Some("misspelt")),
            (format!(r#"{{"work": {work}}}"#), Some("name")),
            (format!(r#"{{"name": "n", "work": {work}, "executors": "two"}}"#), Some("executors")),
            (format!(r#"{{"name": "n", "work": {work}, "conf": {{"a": 1}}}}"#), Some("conf.a")),
            (r#"{"name": "n", "work": {"kind": "program"}}"#.to_owned(), Some("work.file")),
            (r#"{"name": "n", "work": {"kind": "shell"}}"#.to_owned(), Some("work.kind")),
            ("7".to_owned(), None),
        ] {
            let problem = parse::<JobRequest>(body.as_bytes()).expect_err(&body);
            assert_eq!((problem.status, problem.field.as_deref()), (422, field), "{problem:?}");
            assert!(!problem.detail.contains("column"), "{problem:?}");
        }
    }

    #[test]
    fn a_body_that_is_not_json_is_malformed() {
        for body in ["", "{", "{}}", "null x"] {
            assert_eq!(parse::<serde_json::Value>(body.as_bytes()).expect_err(body).status, 400);
        }
    }
}

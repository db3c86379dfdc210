//! JSON of requests and answers.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::body::read_all;
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
        // Serde would read the fields of an object from an array.
        if bytes.trim_ascii_start().starts_with(b"[") {
            return Err(Problem::invalid("the body must be an object, not an array"));
        }
        let value = serde_json::from_slice(&bytes).map_err(|error| {
            if error.is_data() {
                Problem::invalid(format!("the body does not fit: {error}"))
            } else {
                Problem::malformed(format!("the body is not JSON: {error}"))
            }
        })?;
        Ok(Self { value, bytes })
    }
}

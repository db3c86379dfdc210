//! JSON of requests and answers.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

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
        let limits = &app.config().limits;
        let time = Duration::from_secs(limits.stall_seconds);
        let bytes = read_all(request.into_body(), limits.body_bytes, time).await?;
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

/// Reads a body of at most `limit` bytes within a time.
async fn read_all(body: Body, limit: usize, time: Duration) -> Result<Bytes, Problem> {
    match tokio::time::timeout(time, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Problem::too_large(format!(
            "the body was cut off, or is longer than {limit} bytes; send files as uploads"
        ))),
        Err(_) => Err(Problem::timeout()),
    }
}

//! Bodies of bounded size.

use std::time::Duration;

use axum::body::{Body, Bytes};

use super::{App, Problem};

/// Reads a body within the limits of the server.
pub async fn read_all(app: &App, body: Body) -> Result<Bytes, Problem> {
    let limits = &app.config().limits;
    let (limit, time) = (limits.body_bytes, Duration::from_secs(limits.stall_seconds));
    match tokio::time::timeout(time, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Problem::too_large(format!(
            "the body was cut off, or is longer than {limit} bytes; send files as uploads"
        ))),
        Err(_) => Err(Problem::timeout()),
    }
}

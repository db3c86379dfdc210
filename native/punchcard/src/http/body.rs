//! Bodies of bounded size.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt as _;

use super::{App, Problem};

/// Reads a body within the limits of the server.
pub async fn read_all(app: &App, body: Body) -> Result<Bytes, Problem> {
    let limits = &app.config().limits;
    let time = Duration::from_secs(limits.stall_seconds);
    tokio::time::timeout(time, read(body, limits.body_bytes))
        .await
        .map_err(|_| Problem::timeout())?
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(next) = stream.next().await {
        bytes.extend_from_slice(&next.map_err(|error| Problem::cut_off(&error))?);
        if bytes.len() > limit {
            return Err(Problem::too_large(format!(
                "the body is longer than {limit} bytes; send files as uploads"
            )));
        }
    }
    Ok(bytes.into())
}

//! Uploads.

use std::path::PathBuf;
use std::time::Duration;

use axum::Json as Answer;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use super::caller::Caller;
use super::{App, Problem};
use crate::files;
use crate::id::{hex, is_id, new_id};
use crate::store::{StoreError, Upload};

/// The extensions of files that jobs may have.
const EXTENSIONS: [&str; 8] = ["bin", "csv", "jar", "json", "py", "safetensors", "txt", "zip"];

/// Stores a file. The same bytes, with the same extension, give the same upload.
#[utoipa::path(
    post, path = "/api/v1/uploads", tag = "uploads",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(
        ("X-Firesteel-Filename" = Option<String>, Header, description = "Only the extension counts; by default `bin`."),
        ("X-Firesteel-Sha256" = Option<String>, Header, description = "The SHA-256 in hexadecimal digits, to be checked."),
    ),
    responses(
        (status = 201, description = "The file is stored.", body = Upload),
        (status = 200, description = "The file was stored before.", body = Upload),
        (status = "4XX", body = Problem), (status = 503, body = Problem),
    )
)]
pub async fn create(
    State(app): State<App>,
    Caller(caller): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let extension = extension(text("x-firesteel-filename").unwrap_or("upload.bin"))?;
    let expected = text("x-firesteel-sha256").map(str::to_ascii_lowercase);
    let quota = caller.user.quotas(&app.config().quotas).upload_bytes;
    let limit = app.config().limits.upload_bytes.min(quota);
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let declared: u64 =
        declared.ok_or_else(|| Problem::invalid("Content-Length: must be given"))?;
    if declared > limit {
        return Err(too_large(limit));
    }
    let file = Incoming { path: app.layout().incoming().join(new_id()?) };
    let stall = Duration::from_secs(app.config().limits.stall_seconds);
    let (size, sha256) = receive(&file.path, body, limit, stall).await?;
    if expected.is_some_and(|expected| expected != sha256) {
        return Err(Problem::invalid(format!(
            "X-Firesteel-Sha256: the bytes have the SHA-256 {sha256}; send the file again"
        )));
    }
    let folder = app.layout().uploads();
    let stored = app
        .store()
        .run(move |store| {
            let publish =
                |upload: &Upload| files::publish(&file.path, &folder.join(upload.file_name()));
            store.add_upload(&caller.user.name, size, &sha256, &extension, quota, publish)
        })
        .await;
    match stored {
        Ok((upload, true)) => Ok((StatusCode::CREATED, Answer(upload)).into_response()),
        Ok((upload, false)) => Ok(Answer(upload).into_response()),
        Err(StoreError::Refused(detail)) => Err(Problem::quota(detail)),
        Err(error) => Err(error.into()),
    }
}

/// Removes a file to which no job refers.
#[utoipa::path(
    delete, path = "/api/v1/uploads/{id}", tag = "uploads", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem))
)]
pub async fn delete(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    if !is_id(&id) {
        return Err(Problem::not_found("upload"));
    }
    let folder = app.layout().uploads();
    let removed = app
        .store()
        .run(move |store| {
            let upload = store.upload(&id)?;
            let removed = store.remove_upload(&caller.user.name, &id)?;
            if let Some(upload) = upload.filter(|_| removed) {
                std::fs::remove_file(folder.join(upload.file_name()))?;
            }
            Ok(removed)
        })
        .await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("upload")) }
}

/// A file that is arriving. It is removed unless it was moved.
struct Incoming {
    path: PathBuf,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn too_large(limit: u64) -> Problem {
    Problem::too_large(format!("an upload may have at most {limit} bytes"))
}

fn extension(name: &str) -> Result<String, Problem> {
    let extension =
        name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    if EXTENSIONS.contains(&extension.as_str()) {
        return Ok(extension);
    }
    Err(Problem::invalid(format!(
        "X-Firesteel-Filename: the extension must be one of {}",
        EXTENSIONS.join(", ")
    )))
}

/// Writes a body to a file; returns its length and SHA-256.
async fn receive(
    path: &std::path::Path,
    body: Body,
    limit: u64,
    stall: Duration,
) -> Result<(u64, String), Problem> {
    let mut file = File::create_new(path).await?;
    let mut stream = body.into_data_stream();
    let (mut size, mut hash) = (0, Sha256::new());
    loop {
        let next =
            tokio::time::timeout(stall, stream.next()).await.map_err(|_| Problem::timeout())?;
        let Some(bytes) = next else { break };
        let bytes = bytes.map_err(|error| Problem::cut_off(&error))?;
        size += bytes.len() as u64;
        if size > limit {
            return Err(too_large(limit));
        }
        hash.update(&bytes);
        file.write_all(&bytes).await?;
    }
    file.sync_all().await?;
    Ok((size, hex(&hash.finalize())))
}

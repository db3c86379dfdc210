//! Uploads.

use std::io;
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
use tokio::time::Instant;

use super::caller::Caller;
use super::{App, Problem};
use crate::config::Limits;
use crate::files;
use crate::id::{hex, is_id, new_id};
use crate::store::{Store, StoreError, Upload};

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
        (status = 408, description = "The file arrived too slowly.", body = Problem),
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
    let limits = &app.config().limits;
    let quota = caller.user.quotas(&app.config().quotas).upload_bytes;
    let limit = limits.upload_bytes.min(quota);
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let declared: u64 =
        declared.ok_or_else(|| Problem::invalid_field("Content-Length", "must be given"))?;
    if declared > limit {
        return Err(too_large(limit));
    }
    let name = caller.user.name;
    let (_permit, arriving) = app.open().upload(&name, declared, limits.user_uploads)?;
    // Bytes that the user has sent before are checked, but not stored again.
    let known = match expected.clone() {
        Some(sha256) => {
            let (name, extension) = (name.clone(), extension.clone());
            let known = move |store: &Store| store.has_upload(&name, declared, &sha256, &extension);
            app.store().run(known).await?
        }
        None => false,
    };
    if !known {
        let name = name.clone();
        let used = app.store().run(move |store| store.usage(&name)).await?.upload_bytes;
        if used.saturating_add(arriving) > quota {
            return Err(Problem::quota(format!(
                "the upload of {declared} bytes would exceed your quota of {quota} bytes: {used} are in use, and {} \
                 more arrive at present; delete uploads or jobs that you do not need",
                arriving - declared
            )));
        }
    }
    let incoming = app.layout().incoming();
    let file = if known { None } else { Some(Incoming { path: incoming.join(new_id()?) }) };
    let (size, sha256) = receive(file.as_ref(), body, limit, Pace::new(limits)).await?;
    if expected.is_some_and(|expected| expected != sha256) {
        return Err(Problem::invalid_field(
            "X-Firesteel-Sha256",
            format!("the bytes have the SHA-256 {sha256}; send the file again"),
        ));
    }
    let folder = app.layout().uploads();
    let stored = app
        .store()
        .run(move |store| {
            let publish = |upload: &Upload| match &file {
                Some(file) => files::publish(&file.path, &folder.join(upload.file_name())),
                None => Err(io::Error::other("the upload was deleted while it was sent again")),
            };
            store.add_upload(&name, size, &sha256, &extension, quota, publish)
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
    Err(Problem::invalid_field(
        "X-Firesteel-Filename",
        format!("the extension must be one of {}", EXTENSIONS.join(", ")),
    ))
}

/// The times by which the bytes of an upload must arrive.
struct Pace {
    start: Instant,
    stall: Duration,
    /// The bytes a second.
    rate: u64,
}

impl Pace {
    fn new(limits: &Limits) -> Self {
        let stall = Duration::from_secs(limits.stall_seconds);
        Self { start: Instant::now(), stall, rate: limits.upload_rate }
    }

    /// Returns the time by which more must follow the first `received` bytes.
    fn deadline(&self, received: u64) -> Instant {
        let average = self.start + self.stall + Duration::from_secs(received / self.rate);
        average.min(Instant::now() + self.stall)
    }
}

/// Writes a body to a file, if there is one; returns its length and SHA-256.
async fn receive(
    incoming: Option<&Incoming>,
    body: Body,
    limit: u64,
    pace: Pace,
) -> Result<(u64, String), Problem> {
    let mut file = match incoming {
        Some(incoming) => Some(File::create_new(&incoming.path).await?),
        None => None,
    };
    let mut stream = body.into_data_stream();
    let (mut size, mut hash) = (0, Sha256::new());
    loop {
        let next = tokio::time::timeout_at(pace.deadline(size), stream.next());
        let Some(bytes) = next.await.map_err(|_| Problem::timeout())? else { break };
        let bytes = bytes.map_err(|error| Problem::cut_off(&error))?;
        size += bytes.len() as u64;
        if size > limit {
            return Err(too_large(limit));
        }
        hash.update(&bytes);
        if let Some(file) = &mut file {
            file.write_all(&bytes).await?;
        }
    }
    if let Some(file) = file {
        file.sync_all().await?;
    }
    Ok((size, hex(&hash.finalize())))
}

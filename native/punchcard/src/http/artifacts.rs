//! Artefacts: the files that a job leaves.

use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::path::Path as FilePath;
use std::time::UNIX_EPOCH;

use axum::Json as Answer;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::stream;
use serde::Serialize;
use tokio::io::AsyncReadExt as _;
use utoipa::ToSchema;

use super::caller::Caller;
use super::hashes::Hashes;
use super::jobs::find;
use super::{App, Problem};
use crate::clock::Millis;
use crate::files::open_regular;
use crate::launch::Attempt;
use crate::store::Job;

/// The bytes that are read from a file at a time.
const CHUNK: usize = 256 * 1024;

/// A file that a job left.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Artifact {
    name: String,
    size: u64,
    /// The SHA-256 in hexadecimal digits.
    sha256: String,
    #[serde(serialize_with = "crate::json::time")]
    #[schema(value_type = String, format = DateTime)]
    modified_at: Millis,
}

/// The files of a job's last attempt.
#[derive(Debug, Serialize, ToSchema)]
pub struct ArtifactList {
    artifacts: Vec<Artifact>,
}

/// Lists the files that the job's last attempt left.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/artifacts", tag = "artifacts", params(("id" = String, Path)),
    responses((status = 200, body = ArtifactList), (status = "4XX", body = Problem))
)]
pub async fn list(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Answer<ArtifactList>, Problem> {
    let job = find(&app, &caller, id).await?;
    let folder = Attempt::new(app.layout().attempt(&job.id, job.attempt)).results();
    let artifacts = app.hashes().reading(move |hashes| artifacts(hashes, &folder)).await?;
    Ok(Answer(ArtifactList { artifacts }))
}

/// Returns a file, or the range of it that `Range` asks for.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/artifacts/{name}", tag = "artifacts",
    params(
        ("id" = String, Path), ("name" = String, Path),
        ("Range" = Option<String>, Header, description = "One range of bytes."),
    ),
    responses(
        (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, content_type = "application/octet-stream", body = Vec<u8>),
        (status = "4XX", body = Problem),
    )
)]
pub async fn download(
    State(app): State<App>,
    Caller(caller): Caller,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job = find(&app, &caller, id).await?;
    let folder = Attempt::new(app.layout().attempt(&job.id, job.attempt)).results();
    // The name must be that of an entry of the folder: a path has parts.
    let found = app.hashes().reading(move |hashes| {
        let listed = names(&folder)?.contains(&name);
        if listed { artifact(hashes, &folder, &name).map(Some) } else { Ok(None) }
    });
    let found = found.await?;
    let (artifact, mut file) = found.ok_or_else(|| Problem::not_found("artefact"))?;
    let etag = format!("\"{}\"", artifact.sha256);
    let text =
        |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let same = text(IF_RANGE).is_none_or(|given| given == etag);
    let range = match text(RANGE).filter(|_| same) {
        Some(range) => parse_range(range, artifact.size)?,
        None => None,
    };
    let (start, end) = range.unwrap_or((0, artifact.size));
    file.seek(io::SeekFrom::Start(start))?;
    let file = tokio::fs::File::from_std(file);
    let builder = Response::builder()
        .status(if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK })
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_DISPOSITION, "attachment")
        .header(ACCEPT_RANGES, "bytes")
        .header(ETAG, etag)
        .header(CONTENT_LENGTH, end - start);
    let builder = match range {
        Some(_) => {
            builder.header(CONTENT_RANGE, format!("bytes {start}-{}/{}", end - 1, artifact.size))
        }
        None => builder,
    };
    let bytes = stream::try_unfold((file, end - start), async |(mut file, left)| {
        let mut chunk = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        if chunk.is_empty() {
            return Ok(None);
        }
        file.read_exact(&mut chunk).await?;
        let left = left - chunk.len() as u64;
        Ok::<_, io::Error>(Some((chunk, (file, left))))
    });
    builder.body(Body::from_stream(bytes)).map_err(|error| Problem::internal(&error))
}

/// Returns the names and sizes of the files that the job's last attempt left.
pub(crate) async fn sizes(app: &App, job: &Job) -> Result<Vec<(String, u64)>, Problem> {
    let folder = Attempt::new(app.layout().attempt(&job.id, job.attempt)).results();
    let sizes = tokio::task::spawn_blocking(move || {
        let size = |name: String| Ok((name.clone(), fs::metadata(folder.join(name))?.len()));
        names(&folder)?.into_iter().map(size).collect::<io::Result<_>>()
    });
    Ok(sizes.await.map_err(|error| Problem::internal(&error))??)
}

/// Returns the names of the files in a folder.
fn names(folder: &FilePath) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        // A link could lead out of the folder; a hidden file is not complete.
        if entry.file_type()?.is_file()
            && let Ok(name) = entry.file_name().into_string()
            && !name.starts_with('.')
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn artifacts(hashes: &Hashes, folder: &FilePath) -> io::Result<Vec<Artifact>> {
    let names = names(folder)?;
    names.iter().map(|name| Ok(artifact(hashes, folder, name)?.0)).collect()
}

/// Returns a file with its description, which is of the same bytes if the file is replaced meanwhile.
fn artifact(hashes: &Hashes, folder: &FilePath, name: &str) -> io::Result<(Artifact, File)> {
    let mut file = open_regular(&folder.join(name))?;
    let sha256 = hashes.sha256(&mut file)?;
    let metadata = file.metadata()?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let artifact = Artifact {
        name: name.to_owned(),
        size: metadata.len(),
        sha256,
        modified_at: Millis::try_from(modified.as_millis()).unwrap_or(Millis::MAX),
    };
    Ok((artifact, file))
}

/// Reads a header such as `bytes=0-99`, `bytes=100-` or `bytes=-100`: the first byte and the one after the last. Other
/// units and several ranges are ignored, as HTTP allows.
fn parse_range(header: &str, size: u64) -> Result<Option<(u64, u64)>, Problem> {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Ok(None);
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Ok(first), Err(_)) if last.is_empty() => (first, size),
        (Err(_), Ok(count)) if first.is_empty() => (size.saturating_sub(count), size),
        _ => return Ok(None),
    };
    if range.0 < range.1 { Ok(Some(range)) } else { Err(Problem::range(size)) }
}

#[cfg(test)]
mod tests {
    use super::parse_range;

    #[test]
    fn a_range_is_cut_to_the_file() {
        assert_eq!(parse_range("bytes=0-9", 100), Ok(Some((0, 10))));
        assert_eq!(parse_range("bytes=90-200", 100), Ok(Some((90, 100))));
        assert_eq!(parse_range("bytes=90-", 100), Ok(Some((90, 100))));
        assert_eq!(parse_range("bytes=-10", 100), Ok(Some((90, 100))));
        assert_eq!(parse_range("bytes=-1000", 100), Ok(Some((0, 100))));
    }

    #[test]
    fn a_range_outside_the_file_is_an_error_and_another_form_is_ignored() {
        for range in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(parse_range(range, 100).expect_err(range).status, 416);
        }
        for range in ["lines=0-9", "bytes=0-9,20-29", "bytes=9-0", "bytes=", "bytes=-", "bytes=a-b"]
        {
            assert_eq!(parse_range(range, 100), Ok(None), "{range}");
        }
    }
}

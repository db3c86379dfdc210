//! The style sheet, the script and the icon, under names that change with their content.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use crate::http::Problem;
use crate::id::hex;

/// The paths of the files.
pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new("css", "text/css; charset=utf-8", include_bytes!("../../static/page.css")),
    script: Asset::new(
        "js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../static/page.js"),
    ),
    icon: Asset::new("svg", "image/svg+xml", include_bytes!("../../static/icon.svg")),
});

/// The files.
#[derive(Debug)]
pub struct Assets {
    /// The style sheet.
    pub style: Asset,
    /// The script.
    pub script: Asset,
    /// The icon.
    pub icon: Asset,
}

/// A file.
#[derive(Debug)]
pub struct Asset {
    /// The path in URLs.
    pub path: String,
    kind: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    fn new(extension: &str, kind: &'static str, bytes: &'static [u8]) -> Self {
        let hash = hex(&Sha256::digest(bytes)[..8]);
        Self { path: format!("/static/{hash}.{extension}"), kind, bytes }
    }
}

/// Returns a file, which a browser may keep for good.
pub async fn get(Path(name): Path<String>) -> Result<Response, Problem> {
    let path = format!("/static/{name}");
    let found = [&ASSETS.style, &ASSETS.script, &ASSETS.icon].into_iter();
    let asset = found.into_iter().find(|asset| asset.path == path);
    let asset = asset.ok_or_else(|| Problem::not_found("file"))?;
    let headers =
        [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, asset.bytes).into_response())
}

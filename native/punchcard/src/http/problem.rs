//! Errors as `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::job::Invalid;
use crate::store::StoreError;

/// The media type of errors.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The reason for which a token gives no access, and the remedy.
pub const WRONG_TOKEN: &str =
    "is unknown, expired or revoked; check it, or ask an administrator for a new one";

/// An error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// The kind of error, for programs.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// The cause, and the remedy.
    pub detail: String,
    /// The field, parameter or header that does not fit, such as `work.data.path`; absent for other errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("").to_owned();
        Self { title, status: status.as_u16(), code, detail: detail.into(), field: None }
    }

    /// Returns the error of a request without a token.
    #[must_use]
    pub fn unauthenticated() -> Self {
        let detail = "a token is needed: send the header 'Authorization: Bearer TOKEN'";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    /// Returns the error of a token that gives no access, which does not tell why.
    #[must_use]
    pub fn wrong_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", format!("the token {WRONG_TOKEN}"))
    }

    /// Returns the error of a user who lacks the right to do this.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// Returns the error of an object that does not exist or is another user's.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// Returns the error of a path that exists, but not with this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let detail = "the path does not support this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    /// Returns the error of a change that the present state forbids.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// Returns the error of a body that is too long.
    #[must_use]
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// Returns the error of a body of another type.
    #[must_use]
    pub fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// Returns the error of a range outside the file.
    #[must_use]
    pub fn range(size: u64) -> Self {
        let detail = format!("the range must lie within the {size} bytes");
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail)
    }

    /// Returns the error of a request that does not fit as a whole.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    /// Returns the error of a field, parameter or header whose value does not fit.
    #[must_use]
    pub fn invalid_field(field: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        let field = field.into();
        let detail = format!("{field}: {problem}");
        Self { field: Some(field), ..Self::invalid(detail) }
    }

    /// Returns the error of a request that cannot be parsed.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", detail)
    }

    /// Returns the error of a body that ended early, or is not chunked as its headers say.
    #[must_use]
    pub fn cut_off(error: &axum::Error) -> Self {
        Self::malformed(format!("the body was cut off: {error}"))
    }

    /// Returns the error of a body that arrived too slowly.
    #[must_use]
    pub fn timeout() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "the body arrived too slowly; send it again over a faster connection",
        )
    }

    /// Returns the error of a quota that is used up.
    #[must_use]
    pub fn quota(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", detail)
    }

    /// Returns the error of a server that takes no requests at present.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// Returns the error of a failure of the server. The cause is logged, and the client does not get it.
    #[must_use]
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        let detail = "the server failed; its log has the cause";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(detail) => Self::conflict(detail),
            error => Self::internal(&error),
        }
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<Invalid> for Problem {
    fn from(error: Invalid) -> Self {
        Self::invalid_field(error.field, error.problem)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = HeaderMap::new();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let mut response = (status, headers, Json(self)).into_response();
        let kind = HeaderValue::from_static(MEDIA_TYPE);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

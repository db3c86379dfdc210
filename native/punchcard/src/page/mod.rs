//! The web page: HTML that the server renders, for people who follow jobs and manage tokens and users.
//!
//! A session in a cookie identifies the person. A change of state is a form that is posted by a page of this server, and
//! the answer to it is a redirection to a page. Every page works without its script, which updates what has changed and
//! follows logs.

mod assets;
mod chart;
mod curves;
mod delete;
mod error;
mod form;
mod job;
mod jobs;
mod layout;
mod log;
mod request;
mod session;
mod text;
mod tokens;
mod users;

use axum::Router;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};

use crate::http::{App, Problem};
use error::PageError;

/// Returns the routes of the page. Their fallback answers in HTML or JSON.
pub fn router() -> Router<App> {
    Router::new()
        .route("/", get(async || Redirect::to("/jobs")))
        .route("/sign-in", get(session::form).post(session::sign_in))
        .route("/sign-out", post(session::sign_out))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{id}", get(job::show))
        .route("/jobs/{id}/cancel", post(job::cancel))
        .route("/jobs/{id}/delete", get(delete::ask).post(delete::delete))
        .route("/jobs/{id}/resubmit", post(job::resubmit))
        .route("/jobs/{id}/log", get(log::show))
        .route("/tokens", get(tokens::show).post(tokens::create))
        .route("/tokens/{id}/revoke", post(tokens::revoke))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{name}", get(users::show).post(users::change))
        .route("/users/{name}/tokens", post(users::new_token))
        .route("/users/{name}/tokens/{id}/revoke", post(users::revoke_token))
        .route("/static/{name}", get(assets::get))
        .fallback(not_found)
}

async fn not_found(uri: Uri, headers: HeaderMap) -> Response {
    let accepts = headers.get("accept").and_then(|value| value.to_str().ok());
    if accepts.is_some_and(|types| types.contains("text/html")) && !uri.path().starts_with("/api/")
    {
        PageError::from(Problem::not_found("page")).into_response()
    } else {
        Problem::not_found("path").into_response()
    }
}

//! Errors as pages.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::layout::{Layout, page};
use crate::http::Problem;
use crate::store::StoreError;

/// An error of a page.
#[derive(Debug)]
pub enum PageError {
    /// Nobody is signed in. The path is that of the page to show afterwards.
    SignIn(String),
    /// Another error.
    Problem(Problem),
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    layout: Layout,
    problem: Problem,
    detail: String,
}

impl From<Problem> for PageError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<std::io::Error> for PageError {
    fn from(error: std::io::Error) -> Self {
        Self::Problem(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn(next) => {
                let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
                Redirect::to(&format!("/sign-in?{query}")).into_response()
            }
            Self::Problem(problem) => {
                let status = StatusCode::from_u16(problem.status);
                let layout = Layout::public(&problem.title);
                let detail = sentence(&problem.detail);
                page(
                    status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                    &ErrorPage { layout, problem, detail },
                )
            }
        }
    }
}

/// Makes a sentence of the text of an error.
pub fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first: String =
        characters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}

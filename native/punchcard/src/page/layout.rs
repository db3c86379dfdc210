//! The frame of all pages.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, REFERRER_POLICY};
use axum::response::{IntoResponse as _, Response};

use super::assets::{ASSETS, Assets};
use crate::http::Problem;
use crate::store::{Identity, Role};

/// The frame of a page.
#[derive(Debug)]
pub struct Layout {
    /// The title.
    pub title: String,
    /// The part of the page in the navigation: `jobs`, `tokens`, `users` or none.
    pub section: &'static str,
    /// The name of the user who is signed in; empty if nobody is.
    pub user: String,
    /// True if the user is an administrator.
    pub admin: bool,
    /// A sentence about what was just done.
    pub notice: Option<&'static str>,
    /// The style sheet, the script and the icon.
    pub assets: &'static Assets,
}

impl Layout {
    /// Creates the frame of a page for a user.
    pub fn new(title: impl Into<String>, section: &'static str, identity: &Identity) -> Self {
        Self {
            user: identity.user.name.clone(),
            admin: identity.user.role == Role::Admin,
            section,
            ..Self::public(title)
        }
    }

    /// Creates the frame of a page for somebody who is not signed in.
    pub fn public(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            section: "",
            user: String::new(),
            admin: false,
            notice: None,
            assets: &ASSETS,
        }
    }
}

/// Renders a page.
pub fn page(status: StatusCode, template: &impl Template) -> Response {
    let text = match template.render() {
        Ok(text) => text,
        Err(error) => return Problem::internal(&error).into_response(),
    };
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    // With no-referrer, a browser gives the origin of a form as null.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

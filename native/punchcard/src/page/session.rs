//! Signing in and out, and the user of a page.

use askama::Template;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use super::error::PageError;
use super::form::{Empty, Errors, Form};
use super::layout::{Layout, page};
use crate::clock;
use crate::http::session::{LIFE_SECONDS, is_from_elsewhere, secret, set};
use crate::http::{App, Problem, WRONG_TOKEN};
use crate::store::{Identity, Role};

/// The user who looks at a page.
#[derive(Clone, Debug)]
pub struct Viewer(pub Identity);

/// The administrator who looks at a page.
#[derive(Clone, Debug)]
pub struct AdminViewer(pub Identity);

impl FromRequestParts<App> for Viewer {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let identity = match secret(app, &parts.headers) {
            Some(secret) => app.store().run(move |store| store.session(&secret)).await?,
            None => None,
        };
        identity.map(Self).ok_or_else(|| {
            let path = parts.uri.path_and_query().map_or("/jobs", |path| path.as_str());
            let next = if parts.method == Method::GET { path } else { "/jobs" };
            PageError::SignIn(next.to_owned())
        })
    }
}

impl FromRequestParts<App> for AdminViewer {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let Viewer(identity) = Viewer::from_request_parts(parts, app).await?;
        if identity.user.role == Role::Admin {
            return Ok(Self(identity));
        }
        Err(Problem::forbidden("only an administrator may see this page").into())
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    layout: Layout,
    next: String,
    errors: Errors,
    /// True if the user may be signed in: the browser leaves the cookie out when another site leads here.
    from_elsewhere: bool,
}

/// The page to show after signing in.
#[derive(Debug, Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

/// The form for signing in.
#[derive(Debug, Deserialize)]
pub struct SignIn {
    #[serde(default)]
    token: String,
    #[serde(default)]
    next: String,
}

/// Returns the path of a page of this server.
fn local(next: String) -> String {
    let is_local = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_local { next } else { "/jobs".to_owned() }
}

fn sign_in_page(
    status: StatusCode,
    next: String,
    errors: Errors,
    from_elsewhere: bool,
) -> Response {
    let layout = Layout::public("Sign in");
    page(status, &SignInPage { layout, next, errors, from_elsewhere })
}

/// Shows the form for signing in.
pub async fn form(headers: HeaderMap, Query(Next { next }): Query<Next>) -> Response {
    let from_elsewhere = is_from_elsewhere(&headers);
    sign_in_page(StatusCode::OK, local(next), Errors::default(), from_elsewhere)
}

/// Starts a session of a token.
pub async fn sign_in(
    State(app): State<App>,
    Form(SignIn { token, next }): Form<SignIn>,
) -> Result<Response, PageError> {
    let next = local(next);
    // Every wrong token costs a hash and a search, and gives the same answer.
    let identity = app.store().run(move |store| store.identify(token.trim())).await?;
    let Some(identity) = identity else {
        let mut errors = Errors::default();
        errors.add("token", &format!("the token {WRONG_TOKEN}"));
        return Ok(sign_in_page(StatusCode::UNAUTHORIZED, next, errors, false));
    };
    tracing::info!(user = identity.user.name, token = identity.token, "a session starts");
    let expires = clock::now() + LIFE_SECONDS * 1000;
    let secret = app.store().run(move |store| store.new_session(&identity.token, expires)).await?;
    Ok(([(SET_COOKIE, set(&app, &secret, LIFE_SECONDS)?)], Redirect::to(&next)).into_response())
}

/// Ends the session.
pub async fn sign_out(
    State(app): State<App>,
    headers: HeaderMap,
    _: Form<Empty>,
) -> Result<Response, PageError> {
    if let Some(secret) = secret(&app, &headers) {
        app.store().run(move |store| store.end_session(&secret)).await?;
    }
    Ok(([(SET_COOKIE, set(&app, "", 0)?)], Redirect::to("/sign-in")).into_response())
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn the_page_after_signing_in_is_one_of_this_server() {
        assert_eq!(local("/jobs?state=RUNNING".to_owned()), "/jobs?state=RUNNING");
        for next in
            ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "jobs"]
        {
            assert_eq!(local(next.to_owned()), "/jobs", "{next}");
        }
    }
}

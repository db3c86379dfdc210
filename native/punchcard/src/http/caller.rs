//! The user who sends a request.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::{App, Problem};
use crate::store::{Identity, Role};

/// The longest token.
const LONGEST: usize = 512;

/// The user who sends a request, by its token.
#[derive(Clone, Debug)]
pub struct Caller(pub Identity);

/// An administrator who sends a request.
#[derive(Clone, Debug)]
pub struct Admin;

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|header| {
            let (scheme, token) = header.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        let token = token
            .filter(|token| (1..=LONGEST).contains(&token.len()))
            .ok_or_else(Problem::unauthenticated)?;
        let identity = app.store().run(move |store| store.identify(&token)).await?;
        identity.map(Self).ok_or_else(Problem::unauthenticated)
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Caller(identity) = Caller::from_request_parts(parts, app).await?;
        if identity.user.role == Role::Admin {
            return Ok(Self);
        }
        Err(Problem::forbidden("only an administrator may do this"))
    }
}

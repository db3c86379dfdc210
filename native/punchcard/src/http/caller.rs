//! The user who sends a request.

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::header::{AUTHORIZATION, HeaderMap};
use axum::http::request::Parts;

use super::{App, Problem, session};
use crate::store::{Identity, Role};

/// The longest token.
const LONGEST: usize = 512;

/// The user who sends a request, by its token, or by the session of the web page if the request only reads.
#[derive(Clone, Debug)]
pub struct Caller(pub Identity);

/// An administrator who sends a request.
#[derive(Clone, Debug)]
pub struct Admin;

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let identity = if headers.contains_key(AUTHORIZATION) {
            let token = bearer(headers).ok_or_else(Problem::unauthenticated)?;
            let identity = app.store().run(move |store| store.identify(&token)).await?;
            return identity.map(Self).ok_or_else(Problem::wrong_token);
        } else {
            let reads = [Method::GET, Method::HEAD].contains(&parts.method);
            let secret = session::secret(app, headers)
                .filter(|_| reads && !session::is_from_elsewhere(headers))
                .ok_or_else(Problem::unauthenticated)?;
            app.store().run(move |store| store.session(&secret)).await?
        };
        identity.map(Self).ok_or_else(Problem::unauthenticated)
    }
}

/// The proof of who sends a request that stays open, for later looks.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The id of a token.
    Token(String),
    /// The secret of a session.
    Session(String),
}

impl Proof {
    /// Returns the proof of a caller.
    pub fn of(app: &App, headers: &HeaderMap, caller: &Identity) -> Self {
        match session::secret(app, headers) {
            Some(secret) if !headers.contains_key(AUTHORIZATION) => Self::Session(secret),
            _ => Self::Token(caller.token.clone()),
        }
    }

    /// Returns the caller, unless the token was revoked or has expired, or the session has ended.
    pub async fn caller(&self, app: &App) -> Result<Identity, Problem> {
        let proof = self.clone();
        let identity = app.store().run(move |store| match proof {
            Self::Token(id) => store.identity_of(&id),
            Self::Session(secret) => store.session(&secret),
        });
        identity.await?.ok_or_else(Problem::wrong_token)
    }
}

/// Returns the token of a request.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = Some(token.trim()).filter(|token| (1..=LONGEST).contains(&token.len()))?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.to_owned())
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

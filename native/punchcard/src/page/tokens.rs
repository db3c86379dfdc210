//! Tokens: one's own, and those of users for an administrator.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Redirect, Response};
use serde::Deserialize;

use super::error::PageError;
use super::form::{Empty, Errors, Form};
use super::layout::{Layout, page};
use super::session::Viewer;
use super::text::Moment;
use crate::clock;
use crate::http::users::{TokenRequest, make_token, revoke as revoke_of};
use crate::http::{App, Problem};
use crate::store::{Identity, NewToken, TokenRow};

/// The tokens of a user, with the form for a new one.
#[derive(Debug)]
pub struct Tokens {
    /// The path under which forms are posted.
    pub path: String,
    /// The tokens.
    pub rows: Vec<Row>,
    /// The token that was just made.
    pub made: Option<NewToken>,
    /// The fields of the form.
    pub form: NewTokenForm,
    /// Their errors.
    pub errors: Errors,
}

/// A token.
#[derive(Debug)]
pub struct Row {
    /// The id.
    pub id: String,
    /// The label.
    pub label: String,
    /// The time of creation.
    pub created: Moment,
    /// The expiry.
    pub expires: Option<Moment>,
    /// `valid`, `expired` or `revoked`.
    pub state: &'static str,
    /// True for the token of the session.
    pub own: bool,
}

impl Row {
    fn new(token: TokenRow, viewer: &Identity) -> Self {
        let state = match (token.revoked_at, token.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(time)) if time <= clock::now() => "expired",
            _ => "valid",
        };
        Self {
            own: token.id == viewer.token,
            id: token.id,
            label: token.label,
            created: Moment(token.created_at),
            expires: token.expires_at.map(Moment),
            state,
        }
    }
}

/// The form for a new token.
#[derive(Debug, Deserialize)]
pub struct NewTokenForm {
    /// A text for people.
    #[serde(default)]
    pub label: String,
    /// The days after which the token is refused; those of the viewer's if empty.
    #[serde(default)]
    pub expires_days: String,
}

impl Default for NewTokenForm {
    fn default() -> Self {
        Self { label: String::new(), expires_days: "90".to_owned() }
    }
}

impl Tokens {
    /// Reads the tokens of a user.
    pub async fn of(
        app: &App,
        viewer: &Identity,
        user: String,
        path: String,
    ) -> Result<Self, PageError> {
        let rows = app.store().run(move |store| store.tokens(Some(&user))).await?;
        let rows = rows.into_iter().map(|token| Row::new(token, viewer)).collect();
        let (form, errors) = (NewTokenForm::default(), Errors::default());
        Ok(Self { path, rows, made: None, form, errors })
    }

    /// Returns the status of the page with these tokens.
    pub const fn status(&self) -> StatusCode {
        if self.errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }
    }
}

/// Makes a token by a form; the tokens then contain it, or the form's errors.
pub async fn make(
    app: &App,
    viewer: &Identity,
    user: String,
    path: String,
    form: NewTokenForm,
) -> Result<Tokens, PageError> {
    let made = match days(&form.expires_days) {
        Ok(expires_days) => {
            let request = TokenRequest { label: form.label.trim().to_owned(), expires_days };
            make_token(app, viewer, user.clone(), request).await
        }
        Err(problem) => Err(problem),
    };
    let (made, errors) = match made {
        Ok(token) => (Some(token), Errors::default()),
        Err(problem) => (None, Errors::of(&["label", "expires_days"], problem)?),
    };
    let form = if made.is_some() { NewTokenForm::default() } else { form };
    Ok(Tokens { made, form, errors, ..Tokens::of(app, viewer, user, path).await? })
}

fn days(text: &str) -> Result<Option<u32>, Problem> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            Problem::invalid(
                "expires_days: must be a whole number of days, or empty for the expiry of yours",
            )
        }),
    }
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    layout: Layout,
    tokens: Tokens,
}

/// The notice of a page with tokens.
#[derive(Debug, Deserialize)]
pub struct Done {
    #[serde(default)]
    done: String,
}

impl Done {
    /// Returns what was just done.
    pub fn notice(&self) -> Option<&'static str> {
        match self.done.as_str() {
            "revoke" => Some("The token is revoked."),
            "change" => Some("The user is changed."),
            "add" => Some("The user is added. Make a token for the user here."),
            _ => None,
        }
    }
}

fn show_page(viewer: &Identity, tokens: Tokens, notice: Option<&'static str>) -> Response {
    let layout = Layout { notice, ..Layout::new("Your tokens", "tokens", viewer) };
    page(tokens.status(), &TokensPage { layout, tokens })
}

/// Shows the viewer's tokens.
pub async fn show(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Query(done): Query<Done>,
) -> Result<Response, PageError> {
    let name = viewer.user.name.clone();
    let tokens = Tokens::of(&app, &viewer, name, "/tokens".to_owned()).await?;
    Ok(show_page(&viewer, tokens, done.notice()))
}

/// Makes a token of the viewer, and shows it once.
pub async fn create(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Form(form): Form<NewTokenForm>,
) -> Result<Response, PageError> {
    let name = viewer.user.name.clone();
    let tokens = make(&app, &viewer, name, "/tokens".to_owned(), form).await?;
    Ok(show_page(&viewer, tokens, None))
}

/// Revokes a token of the viewer.
pub async fn revoke(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Path(id): Path<String>,
    _: Form<Empty>,
) -> Result<Redirect, PageError> {
    revoke_of(&app, &viewer, viewer.user.name.clone(), id).await?;
    Ok(Redirect::to("/tokens?done=revoke"))
}

//! Users and tokens.

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{Admin, Caller};
use super::json::Json;
use super::{App, Problem};
use crate::clock::{self, DAY};
use crate::store::{Identity, LONGEST_DAYS, Minted, NewToken, Role, TokenRow, User, UserChange};

/// The longest label of a token.
const LABEL: usize = 100;

/// All users.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserList {
    users: Vec<User>,
}

/// A user to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name: at most 64 letters, digits, `.`, `_`, `-` and `@`.
    pub(crate) name: String,
    /// The role.
    #[serde(default = "user")]
    pub(crate) role: Role,
    /// True if the user may run uploaded programs.
    #[serde(default)]
    pub(crate) programs: bool,
}

const fn user() -> Role {
    Role::User
}

/// The tokens of a user.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenList {
    tokens: Vec<TokenRow>,
}

/// A token to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenRequest {
    /// A text for people.
    pub(crate) label: String,
    /// The days after which the token is refused: no later than the one that makes it, which is the default.
    #[schema(minimum = 1, maximum = 3650)]
    pub(crate) expires_days: Option<u32>,
}

/// Lists the users.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users",
    responses((status = 200, body = UserList), (status = "4XX", body = Problem))
)]
pub async fn list(State(app): State<App>, _: Admin) -> Result<Answer<UserList>, Problem> {
    Ok(Answer(UserList { users: app.store().run(|store| store.users()).await? }))
}

/// Adds a user.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", request_body = NewUser,
    responses((status = 201, body = User), (status = 408, body = Problem), (status = "4XX", body = Problem))
)]
pub async fn create(
    State(app): State<App>,
    _: Admin,
    Json { value: new, .. }: Json<NewUser>,
) -> Result<Response, Problem> {
    Ok((StatusCode::CREATED, Answer(add(&app, new).await?)).into_response())
}

/// Adds a user.
pub(crate) async fn add(app: &App, new: NewUser) -> Result<User, Problem> {
    if !crate::store::is_name(&new.name) {
        return Err(Problem::invalid_field(
            "name",
            "must be of at most 64 letters, digits, '.', '_', '-' and '@', and begin with a letter or digit",
        ));
    }
    let name = new.name.clone();
    app.store().run(move |store| store.add_user(&new.name, new.role, new.programs)).await?;
    known(app, name).await
}

/// Returns a user.
#[utoipa::path(
    get, path = "/api/v1/users/{name}", tag = "users", params(("name" = String, Path)),
    responses((status = 200, body = User), (status = "4XX", body = Problem))
)]
pub async fn get(
    State(app): State<App>,
    _: Admin,
    Path(name): Path<String>,
) -> Result<Answer<User>, Problem> {
    Ok(Answer(known(&app, name).await?))
}

/// Changes a user.
#[utoipa::path(
    patch, path = "/api/v1/users/{name}", tag = "users", params(("name" = String, Path)), request_body = UserChange,
    responses((status = 200, body = User), (status = 408, body = Problem), (status = "4XX", body = Problem))
)]
pub async fn change(
    State(app): State<App>,
    _: Admin,
    Path(name): Path<String>,
    Json { value: change, .. }: Json<UserChange>,
) -> Result<Answer<User>, Problem> {
    Ok(Answer(apply(&app, name, change).await?))
}

/// Changes a user.
pub(crate) async fn apply(app: &App, name: String, change: UserChange) -> Result<User, Problem> {
    if change.log_bytes == Some(Some(0)) {
        return Err(Problem::invalid_field("log_bytes", "must be at least 1"));
    }
    let (running, queued, days) = (change.running, change.queued, change.retention_days);
    let counts = [("running", running), ("queued", queued), ("retention_days", days)]
        .map(|(field, value)| (field, value.flatten().map(u64::from), i64::from(i32::MAX)));
    let sizes = [("upload_bytes", change.upload_bytes), ("log_bytes", change.log_bytes)]
        .map(|(field, value)| (field, value.flatten(), i64::MAX));
    for (field, value, most) in counts.into_iter().chain(sizes) {
        if value.is_some_and(|value| value > most.unsigned_abs()) {
            return Err(Problem::invalid(format!("{field}: must be at most {most}")));
        }
    }
    let changed = name.clone();
    if !app.store().run(move |store| store.change_user(&changed, &change)).await? {
        return Err(Problem::not_found("user"));
    }
    known(app, name).await
}

/// Removes a user who has no jobs and no uploads, with the tokens.
#[utoipa::path(
    delete, path = "/api/v1/users/{name}", tag = "users", params(("name" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem))
)]
pub async fn delete(
    State(app): State<App>,
    _: Admin,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let removed = app.store().run(move |store| store.remove_user(&name)).await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("user")) }
}

/// Lists the tokens of a user: one's own, or anybody's for an administrator.
#[utoipa::path(
    get, path = "/api/v1/users/{name}/tokens", tag = "users", params(("name" = String, Path)),
    responses((status = 200, body = TokenList), (status = "4XX", body = Problem))
)]
pub async fn tokens(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(name): Path<String>,
) -> Result<Answer<TokenList>, Problem> {
    may_handle(&caller, &name)?;
    known(&app, name.clone()).await?;
    let tokens = app.store().run(move |store| store.tokens(Some(&name))).await?;
    Ok(Answer(TokenList { tokens }))
}

/// Makes a token. The answer contains its text, which is shown only here. The token is revoked with the one that makes it.
#[utoipa::path(
    post, path = "/api/v1/users/{name}/tokens", tag = "users", params(("name" = String, Path)),
    request_body = TokenRequest,
    responses((status = 201, body = NewToken), (status = 408, body = Problem), (status = "4XX", body = Problem))
)]
pub async fn new_token(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Json { value: request, .. }: Json<TokenRequest>,
) -> Result<Response, Problem> {
    let token = make_token(&app, &caller, name, request).await?;
    Ok((StatusCode::CREATED, Answer(token)).into_response())
}

/// Makes a token of a user.
pub(crate) async fn make_token(
    app: &App,
    caller: &Identity,
    name: String,
    request: TokenRequest,
) -> Result<NewToken, Problem> {
    may_handle(caller, &name)?;
    if request.label.len() > LABEL || request.label.chars().any(char::is_control) {
        let problem = format!("must have at most {LABEL} bytes and no control characters");
        return Err(Problem::invalid_field("label", problem));
    }
    if request.expires_days.is_some_and(|days| !(1..=LONGEST_DAYS).contains(&days)) {
        let problem = format!("must be from 1 to {LONGEST_DAYS}");
        return Err(Problem::invalid_field("expires_days", problem));
    }
    let expires = request.expires_days.map(|days| clock::now() + i64::from(days) * DAY);
    let maker = caller.token.clone();
    let made = app
        .store()
        .run(move |store| store.mint_token(&maker, &name, &request.label, expires))
        .await?;
    match made {
        Minted::New(token) => Ok(token),
        Minted::NoUser => Err(Problem::not_found("user")),
        Minted::NotValid => Err(Problem::wrong_token()),
        Minted::TooMany(most) => Err(Problem::quota(format!(
            "the user has {most} valid tokens, the most that the server allows; revoke some"
        ))),
    }
}

/// Revokes a token, which is refused from then on, and those that were made with it.
#[utoipa::path(
    delete, path = "/api/v1/users/{name}/tokens/{id}", tag = "users",
    params(("name" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem))
)]
pub async fn revoke_token(
    State(app): State<App>,
    Caller(caller): Caller,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    revoke(&app, &caller, name, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes a token of a user.
pub(crate) async fn revoke(
    app: &App,
    caller: &Identity,
    name: String,
    id: String,
) -> Result<(), Problem> {
    may_handle(caller, &name)?;
    let revoked = app.store().run(move |store| store.revoke_token(&name, &id)).await?;
    if revoked { Ok(()) } else { Err(Problem::not_found("token")) }
}

fn may_handle(caller: &Identity, name: &str) -> Result<(), Problem> {
    if caller.may_handle(name) {
        return Ok(());
    }
    Err(Problem::forbidden("you may handle your own tokens only"))
}

pub(crate) async fn known(app: &App, name: String) -> Result<User, Problem> {
    let user = app.store().run(move |store| store.user(&name)).await?;
    user.ok_or_else(|| Problem::not_found("user"))
}

//! Users, for administrators.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Redirect, Response};
use serde::Deserialize;

use super::error::PageError;
use super::form::{Empty, Errors, Form};
use super::layout::{Layout, page};
use super::session::AdminViewer;
use super::text::{Moment, size};
use super::tokens::{Done, NewTokenForm, Tokens, make};
use crate::config::Quotas;
use crate::http::users::{NewUser, add, apply, known, revoke};
use crate::http::{App, Problem};
use crate::store::{Identity, Role, User, UserChange, is_name};

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    layout: Layout,
    users: Vec<Row>,
    form: NewUserForm,
    errors: Errors,
}

struct Row {
    name: String,
    role: &'static str,
    programs: bool,
    running: u32,
    queued: u32,
    created: Moment,
}

/// The form for a new user.
#[derive(Debug, Default, Deserialize)]
pub struct NewUserForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    programs: String,
}

async fn users_page(
    app: &App,
    viewer: &Identity,
    form: NewUserForm,
    errors: Errors,
) -> Result<Response, PageError> {
    let defaults = app.config().quotas;
    let users = app.store().run(|store| store.users()).await?;
    let row = |user: User| {
        let quotas = user.quotas(&defaults);
        Row {
            role: user.role.name(),
            programs: user.programs,
            running: quotas.running,
            queued: quotas.queued,
            created: Moment(user.created_at),
            name: user.name,
        }
    };
    let status = status(&errors);
    let users = users.into_iter().map(row).collect();
    let layout = Layout::new("Users", "users", viewer);
    Ok(page(status, &UsersPage { layout, users, form, errors }))
}

fn status(errors: &Errors) -> StatusCode {
    if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }
}

/// Shows the users.
pub async fn list(
    State(app): State<App>,
    AdminViewer(viewer): AdminViewer,
) -> Result<Response, PageError> {
    users_page(&app, &viewer, NewUserForm::default(), Errors::default()).await
}

fn role(text: &str) -> Result<Role, Problem> {
    Role::of(text)
        .ok_or_else(|| Problem::invalid(format!("role: must be user or admin, not '{text}'")))
}

/// Adds a user.
pub async fn create(
    State(app): State<App>,
    AdminViewer(viewer): AdminViewer,
    Form(form): Form<NewUserForm>,
) -> Result<Result<Redirect, Response>, PageError> {
    let added = match role(&form.role) {
        Ok(role) => {
            let name = form.name.trim().to_owned();
            let exists = {
                let name = name.clone();
                app.store().run(move |store| store.user(&name)).await?.is_some()
            };
            if exists {
                Err(Problem::invalid("name: another user has this name; choose another"))
            } else {
                add(&app, NewUser { name, role, programs: !form.programs.is_empty() }).await
            }
        }
        Err(problem) => Err(problem),
    };
    match added {
        Ok(user) => Ok(Ok(Redirect::to(&format!("/users/{}?done=add", user.name)))),
        Err(problem) => {
            let errors = Errors::of(&["name", "role"], problem)?;
            Ok(Err(users_page(&app, &viewer, form, errors).await?))
        }
    }
}

#[derive(Template)]
#[template(path = "user.html")]
struct UserPage {
    layout: Layout,
    name: String,
    own: bool,
    form: ChangeForm,
    quotas: [Quota; 5],
    errors: Errors,
    tokens: Tokens,
}

/// A quota in the form.
struct Quota {
    field: &'static str,
    label: &'static str,
    value: String,
    /// The server's quota.
    default: String,
}

/// The fields of the quotas.
const QUOTAS: [&str; 5] = ["running", "queued", "upload_bytes", "log_bytes", "retention_days"];

/// The form that changes a user. An empty quota is the server's.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ChangeForm {
    role: String,
    programs: String,
    running: String,
    queued: String,
    upload_bytes: String,
    log_bytes: String,
    retention_days: String,
}

impl ChangeForm {
    fn of(user: &User) -> Self {
        let text = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
        Self {
            role: user.role.name().to_owned(),
            programs: if user.programs { "on" } else { "" }.to_owned(),
            running: text(user.running.map(u64::from)),
            queued: text(user.queued.map(u64::from)),
            upload_bytes: text(user.upload_bytes),
            log_bytes: text(user.log_bytes),
            retention_days: text(user.retention_days.map(u64::from)),
        }
    }

    fn quotas(&self, defaults: &Quotas) -> [Quota; 5] {
        let bytes = |value: u64| format!("{value} ({})", size(value));
        let quota = |field, label, value: &String, default| Quota {
            field,
            label,
            value: value.clone(),
            default,
        };
        [
            quota("running", "Running jobs", &self.running, defaults.running.to_string()),
            quota("queued", "Waiting jobs", &self.queued, defaults.queued.to_string()),
            quota(
                "upload_bytes",
                "Bytes of uploads",
                &self.upload_bytes,
                bytes(defaults.upload_bytes),
            ),
            quota("log_bytes", "Bytes of a log", &self.log_bytes, bytes(defaults.log_bytes)),
            quota(
                "retention_days",
                "Days to keep finished jobs",
                &self.retention_days,
                defaults.retention_days.to_string(),
            ),
        ]
    }

    /// Reads the fields; those that do not fit are added to the errors.
    fn change(&self, errors: &mut Errors) -> UserChange {
        let role = Role::of(&self.role);
        if role.is_none() {
            errors.add("role", "must be user or admin");
        }
        UserChange {
            role,
            programs: Some(!self.programs.is_empty()),
            running: quota("running", &self.running, errors),
            queued: quota("queued", &self.queued, errors),
            upload_bytes: quota("upload_bytes", &self.upload_bytes, errors),
            log_bytes: quota("log_bytes", &self.log_bytes, errors),
            retention_days: quota("retention_days", &self.retention_days, errors),
        }
    }
}

fn quota<T: std::str::FromStr>(
    field: &'static str,
    text: &str,
    errors: &mut Errors,
) -> Option<Option<T>> {
    match text.trim() {
        "" => Some(None),
        text => {
            let value = text.parse().ok();
            if value.is_none() {
                errors.add(field, "must be a whole number, or empty for the server's value");
            }
            value.map(Some)
        }
    }
}

fn user_page(
    app: &App,
    viewer: &Identity,
    name: String,
    form: ChangeForm,
    errors: Errors,
    tokens: Tokens,
    notice: Option<&'static str>,
) -> Response {
    let layout = Layout { notice, ..Layout::new(format!("User {name}"), "users", viewer) };
    let status = if errors.is_empty() { tokens.status() } else { status(&errors) };
    let quotas = form.quotas(&app.config().quotas);
    let own = name == viewer.user.name;
    page(status, &UserPage { layout, name, own, form, quotas, errors, tokens })
}

fn tokens_path(name: &str) -> String {
    format!("/users/{name}/tokens")
}

/// Returns a user of this name, which is then fit for a path.
async fn existing(app: &App, name: String) -> Result<User, PageError> {
    if !is_name(&name) {
        return Err(Problem::not_found("user").into());
    }
    Ok(known(app, name).await?)
}

/// Shows a user.
pub async fn show(
    State(app): State<App>,
    AdminViewer(viewer): AdminViewer,
    Path(name): Path<String>,
    Query(done): Query<Done>,
) -> Result<Response, PageError> {
    let user = existing(&app, name.clone()).await?;
    let tokens = Tokens::of(&app, &viewer, name.clone(), tokens_path(&name)).await?;
    let form = ChangeForm::of(&user);
    Ok(user_page(&app, &viewer, name, form, Errors::default(), tokens, done.notice()))
}

/// Changes a user.
pub async fn change(
    State(app): State<App>,
    AdminViewer(viewer): AdminViewer,
    Path(name): Path<String>,
    Form(form): Form<ChangeForm>,
) -> Result<Result<Redirect, Response>, PageError> {
    existing(&app, name.clone()).await?;
    let mut errors = Errors::default();
    let change = form.change(&mut errors);
    if name == viewer.user.name && change.role == Some(Role::User) {
        errors.add("role", "you cannot give up your own role; another administrator can take it");
    }
    if errors.is_empty() {
        match apply(&app, name.clone(), change).await {
            Ok(_) => return Ok(Ok(Redirect::to(&format!("/users/{name}?done=change")))),
            Err(problem) => errors = Errors::of(&QUOTAS, problem)?,
        }
    }
    let tokens = Tokens::of(&app, &viewer, name.clone(), tokens_path(&name)).await?;
    Ok(Err(user_page(&app, &viewer, name, form, errors, tokens, None)))
}

/// Makes a token of a user, and shows it once.
pub async fn new_token(
    State(app): State<App>,
    AdminViewer(viewer): AdminViewer,
    Path(name): Path<String>,
    Form(form): Form<NewTokenForm>,
) -> Result<Response, PageError> {
    let user = existing(&app, name.clone()).await?;
    let tokens = make(&app, &viewer, name.clone(), tokens_path(&name), form).await?;
    let form = ChangeForm::of(&user);
    Ok(user_page(&app, &viewer, name, form, Errors::default(), tokens, None))
}

/// Revokes a token of a user.
pub async fn revoke_token(
    State(app): State<App>,
    AdminViewer(viewer): AdminViewer,
    Path((name, id)): Path<(String, String)>,
    _: Form<Empty>,
) -> Result<Redirect, PageError> {
    existing(&app, name.clone()).await?;
    revoke(&app, &viewer, name.clone(), id).await?;
    Ok(Redirect::to(&format!("/users/{name}?done=revoke")))
}

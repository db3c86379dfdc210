//! Forms that pages of this server post.

use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::error::{PageError, sentence};
use crate::http::body::read_all;
use crate::http::{App, Problem, session};

/// The fields of a form that a page of this server has posted.
#[derive(Debug)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Form<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &App) -> Result<Self, PageError> {
        // The cookie alone does not show that the user wants the change.
        if !session::is_same_origin(request.headers()) {
            let detail =
                "the form was not sent by a page of this server; open the page and send it again";
            return Err(Problem::forbidden(detail).into());
        }
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
            return Err(Problem::unsupported("the body must be a form").into());
        }
        let bytes = read_all(app, request.into_body()).await?;
        let fields = serde_urlencoded::from_bytes(&bytes)
            .map_err(|error| Problem::invalid(format!("the form does not fit: {error}")))?;
        Ok(Self(fields))
    }
}

/// A form without fields.
#[derive(Debug, serde::Deserialize)]
pub struct Empty {}

/// The errors of a form's fields.
#[derive(Debug, Default)]
pub struct Errors {
    errors: Vec<(&'static str, String)>,
}

impl Errors {
    /// Records an error, which begins with the name of a field.
    ///
    /// # Errors
    /// The problem, if it is of no field.
    pub fn of(fields: &[&'static str], problem: Problem) -> Result<Self, Problem> {
        let Some((name, text)) = problem.detail.split_once(": ") else { return Err(problem) };
        let Some(field) = fields.iter().find(|field| **field == name) else { return Err(problem) };
        let mut errors = Self::default();
        errors.add(field, text);
        Ok(errors)
    }

    /// Records an error of a field.
    pub fn add(&mut self, field: &'static str, text: &str) {
        self.errors.push((field, sentence(text)));
    }

    /// Returns true if there is none.
    pub const fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Returns the error of a field.
    pub fn at(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|(name, _)| *name == field).map(|(_, text)| text.as_str())
    }

    /// Returns the attributes of a field that show its error to assistive technology.
    pub fn attributes(&self, field: &str) -> String {
        match self.at(field) {
            Some(_) => format!("aria-invalid=\"true\" aria-describedby=\"{field}-error\""),
            None => String::new(),
        }
    }
}

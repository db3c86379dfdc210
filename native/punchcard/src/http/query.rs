//! Queries of requests.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::json::field_of;
use super::misfit::plain;
use super::{App, Problem};

/// The parameters that may be repeated. Their values are read as one, with commas between them.
const REPEATED: [&str; 1] = ["state"];

/// The parameters of a request's query.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        read(parts.uri.query().unwrap_or("")).map(Self)
    }
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let before = pairs.iter_mut().find(|pair| pair.0 == name);
        match before.filter(|_| REPEATED.contains(&&*name)) {
            Some((_, text)) => {
                text.push(',');
                text.push_str(&value);
            }
            None => pairs.push((name.into_owned(), value.into_owned())),
        }
    }
    let joined = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
    let parser = serde_urlencoded::Deserializer::new(form_urlencoded::parse(joined.as_bytes()));
    serde_path_to_error::deserialize(parser).map_err(|error| {
        let text = error.inner().to_string();
        match field_of(error.path(), &text) {
            Some(field) => Problem::invalid_field(field, plain(&text)),
            None => Problem::invalid(format!("the query does not fit: {}", plain(&text))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::http::job_query::JobQuery;
    use crate::job::State;

    #[test]
    fn a_state_is_repeated_or_listed_with_commas() {
        let expected = [State::Running, State::Queued, State::Failed];
        for query in [
            "state=RUNNING&state=QUEUED&state=FAILED",
            "state=RUNNING,QUEUED&limit=3&state=FAILED",
            "state=RUNNING%2CQUEUED%2CFAILED",
            "state=running&state=Queued,failed",
        ] {
            assert_eq!(read::<JobQuery>(query).expect(query).state, expected, "{query}");
        }
        assert!(read::<JobQuery>("").expect("no query").state.is_empty());
    }

    #[test]
    fn a_parameter_that_does_not_fit_is_named() {
        for (query, field) in [
            ("limit=x", "limit"),
            ("state=RUNNING&state=DONE", "state"),
            ("limit=1&limit=2", "limit"),
        ] {
            let problem = read::<JobQuery>(query).expect_err(query);
            assert_eq!(problem.field.as_deref(), Some(field), "{problem:?}");
            assert_eq!(problem.status, 422);
        }
        let problem = read::<JobQuery>("state=done").expect_err("no state");
        assert!(
            problem
                .detail
                .starts_with("state: there is no state 'done'; the states are ACCEPTED, QUEUED")
        );
    }
}

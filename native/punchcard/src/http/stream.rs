//! Server-sent events: a log or the events of a job while they are written.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use futures_util::StreamExt as _;
use futures_util::stream::{self, Stream};
use serde_json::json;

use super::caller::{Caller, Proof};
use super::jobs::find;
use super::logs::{After, LARGEST_BATCH, Part, chunk};
use super::{App, Problem};
use crate::job::State as JobState;
use crate::store::{Event, Job};

/// The time between two looks for something new.
const POLL: Duration = Duration::from_millis(250);
/// The bytes of a log in a message.
const CHUNK: u32 = 32 * 1024;
/// The time after which a silent stream sends a comment.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Streams the log of a job's present attempt until the job is final: messages `log` with the text and its offset, and
/// at the end `end` with the state. A message's id is the offset after it, from which `Last-Event-ID` continues.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/log/stream", tag = "logs", params(("id" = String, Path), Part),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = Problem))
)]
pub async fn log(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    query: Result<Query<Part>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Problem> {
    let Query(mut part) = query.map_err(|error| Problem::invalid(error.body_text()))?;
    let job = find(&app, &caller, id).await?;
    part.offset = last_id(&headers).unwrap_or(part.offset);
    chunk(&app, &job, &part, 1).await?;
    let proof = Proof::of(&app, &headers, &caller);
    Ok(sse(app, LogSource { proof, id: job.id, attempt: job.attempt, part }))
}

/// Streams the events of a job until it is final: messages named by the event's type, with the event's number as id, and
/// at the end `end` with the state.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/events/stream", tag = "logs", params(("id" = String, Path), After),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = Problem))
)]
pub async fn events(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    query: Result<Query<After>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Problem> {
    let Query(After { after }) = query.map_err(|error| Problem::invalid(error.body_text()))?;
    let job = find(&app, &caller, id).await?;
    let after = last_id(&headers).unwrap_or(after);
    let proof = Proof::of(&app, &headers, &caller);
    Ok(sse(app, EventSource { proof, id: job.id, after }))
}

/// Returns a job, unless its reader has lost the right to see it since the stream began.
async fn look_up(app: &App, proof: &Proof, id: &str) -> Result<Job, Problem> {
    find(app, &proof.caller(app).await?, id.to_owned()).await
}

fn last_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

/// The result of a look at a source.
enum Look {
    /// Something new.
    New(Vec<Message>),
    /// Nothing yet.
    Nothing,
    /// Nothing, and nothing will follow: the job is in this state.
    End(JobState),
}

/// The source of a stream.
trait Source: Send + 'static {
    fn look(&mut self, app: &App) -> impl Future<Output = Result<Look, Problem>> + Send;
}

struct LogSource {
    proof: Proof,
    id: String,
    attempt: u32,
    part: Part,
}

impl Source for LogSource {
    async fn look(&mut self, app: &App) -> Result<Look, Problem> {
        let job = look_up(app, &self.proof, &self.id).await?;
        if self.part.attempt.is_none() && job.attempt != self.attempt {
            // The log of a new attempt starts again.
            (self.attempt, self.part.offset) = (job.attempt, 0);
        }
        let read = chunk(app, &job, &self.part, CHUNK).await?;
        if read.bytes.is_empty() {
            return Ok(if job.state.is_final() { Look::End(job.state) } else { Look::Nothing });
        }
        self.part.offset = read.next();
        let text = String::from_utf8_lossy(&read.bytes);
        let data = json!({ "offset": read.offset, "text": text, "attempt": self.attempt });
        let message = Message::default().event("log").id(self.part.offset.to_string());
        Ok(Look::New(vec![message.data(data.to_string())]))
    }
}

struct EventSource {
    proof: Proof,
    id: String,
    after: u64,
}

impl Source for EventSource {
    async fn look(&mut self, app: &App) -> Result<Look, Problem> {
        // The state is older than the events: those of a final job are complete.
        let job = look_up(app, &self.proof, &self.id).await?;
        let after = self.after;
        let events =
            app.store().run(move |store| store.events(&job.id, after, LARGEST_BATCH)).await?;
        let Some(last) = events.last() else {
            return Ok(if job.state.is_final() { Look::End(job.state) } else { Look::Nothing });
        };
        self.after = last.seq;
        let message = |event: &Event| {
            let data = serde_json::to_string(event).unwrap_or_default();
            Message::default().event(&event.kind).id(event.seq.to_string()).data(data)
        };
        Ok(Look::New(events.iter().map(message).collect()))
    }
}

/// Streams what a source gives, until it ends or fails, or the server stops.
fn sse(app: App, source: impl Source) -> Sse<impl Stream<Item = Result<Message, Infallible>>> {
    let batches = stream::unfold(Some((app, source)), async |state| {
        let (app, mut source) = state?;
        while !app.is_draining() {
            match source.look(&app).await {
                Ok(Look::New(messages)) => return Some((messages, Some((app, source)))),
                Ok(Look::End(state)) => {
                    let data = json!({ "state": state.name() }).to_string();
                    return Some((vec![Message::default().event("end").data(data)], None));
                }
                Ok(Look::Nothing) => tokio::time::sleep(POLL).await,
                Err(_) => return None,
            }
        }
        None
    });
    let messages = batches.flat_map(|messages| stream::iter(messages.into_iter().map(Ok)));
    Sse::new(messages).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

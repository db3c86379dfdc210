//! Server-sent events: a log or the events of a job while they are written.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use futures_util::StreamExt as _;
use futures_util::stream::{self, Stream};
use serde_json::json;

use super::caller::{Caller, Proof};
use super::jobs::find;
use super::logs::{EventQuery, LARGEST_BATCH, LogQuery, chunk};
use super::open::Permit;
use super::query::Query;
use super::{App, Problem};
use crate::job::State as JobState;
use crate::log;
use crate::store::{Event, Identity, Job};

/// The time between two looks for something new.
const POLL: Duration = Duration::from_millis(250);
/// The bytes of a log in a message.
const CHUNK: u32 = 32 * 1024;
/// The time after which a silent stream sends a comment.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Streams the log of a job's present attempt, and of those that follow it, until the job is final: messages `log` with
/// the text, its attempt and its offset, and at the end `end` with the state. A message's id is the attempt and the offset
/// after the text, such as `1:4096`, from which `Last-Event-ID` continues.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/log/stream", tag = "logs",
    params(
        ("id" = String, Path), LogQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last message; it replaces `offset`."),
    ),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = Problem))
)]
pub async fn log(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Query(query): Query<LogQuery>,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Problem> {
    let job = find(&app, &caller, id).await?;
    chunk(&app, &job, &query, 1).await?;
    let last = last_id(&headers).and_then(log_position);
    let (attempt, offset) = match (query.attempt, last) {
        // The header of a stream of another attempt has no meaning in this one.
        (Some(fixed), last) => {
            let last = last.filter(|(attempt, _)| *attempt == fixed);
            (fixed, last.map_or(query.offset, |(_, offset)| offset))
        }
        (None, Some((attempt, offset))) if attempt <= job.attempt => (attempt, offset),
        (None, _) => (job.attempt, query.offset),
    };
    let permit = permit(&app, &caller)?;
    let proof = Proof::of(&app, &headers, &caller);
    let fixed = query.attempt.is_some();
    Ok(sse(app, LogSource { proof, id: job.id, attempt, offset, fixed, permit }))
}

/// Streams the events of a job until it is final: messages named by the event's type, with the event's number as id, and
/// at the end `end` with the state.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/events/stream", tag = "logs", params(("id" = String, Path), EventQuery),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = Problem))
)]
pub async fn events(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Query(EventQuery { after }): Query<EventQuery>,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Problem> {
    let job = find(&app, &caller, id).await?;
    let after = last_id(&headers).and_then(|id| id.parse().ok()).unwrap_or(after);
    let permit = permit(&app, &caller)?;
    let proof = Proof::of(&app, &headers, &caller);
    Ok(sse(app, EventSource { proof, id: job.id, after, permit }))
}

fn permit(app: &App, caller: &Identity) -> Result<Permit, Problem> {
    app.open().stream(&caller.user.name, app.config().limits.user_streams)
}

/// Returns a job, unless its reader has lost the right to see it since the stream began.
async fn look_up(app: &App, proof: &Proof, id: &str) -> Result<Job, Problem> {
    find(app, &proof.caller(app).await?, id.to_owned()).await
}

fn last_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("last-event-id")?.to_str().ok()
}

/// Reads the id of a message of a log: the attempt and the offset.
fn log_position(id: &str) -> Option<(u32, u64)> {
    let (attempt, offset) = id.split_once(':')?;
    Some((attempt.parse().ok()?, offset.parse().ok()?))
}

/// The messages since the last look at a source.
enum Update {
    /// New messages.
    Messages(Vec<Message>),
    /// No messages yet.
    Pending,
    /// No messages, now or later: the job is in this final state.
    End(JobState),
}

/// The source of a stream.
trait Source: Send + 'static {
    /// Returns what is new since the last call.
    fn update(&mut self, app: &App) -> impl Future<Output = Result<Update, Problem>> + Send;
}

struct LogSource {
    proof: Proof,
    id: String,
    attempt: u32,
    offset: u64,
    /// True to stay with the attempt when another follows it.
    fixed: bool,
    #[expect(dead_code, reason = "it counts until it is dropped")]
    permit: Permit,
}

impl LogSource {
    /// Reads text of the present attempt; `complete` is true if the attempt writes no more.
    async fn read(
        &mut self,
        app: &App,
        job: &Job,
        complete: bool,
    ) -> Result<Option<Message>, Problem> {
        if self.attempt == 0 {
            return Ok(None);
        }
        let query = LogQuery { offset: self.offset, attempt: Some(self.attempt), limit: None };
        let mut read = chunk(app, job, &query, CHUNK).await?;
        // The rest of a character that the end of the bytes cuts may follow.
        let whole = log::whole_characters(&read.bytes);
        if !complete || read.bytes.len() == CHUNK as usize {
            read.bytes.truncate(whole);
        }
        if read.bytes.is_empty() {
            return Ok(None);
        }
        self.offset = read.next();
        let text = String::from_utf8_lossy(&read.bytes);
        let data = json!({ "offset": read.offset, "text": text, "attempt": self.attempt });
        let id = format!("{}:{}", self.attempt, self.offset);
        Ok(Some(Message::default().event("log").id(id).data(data.to_string())))
    }
}

impl Source for LogSource {
    async fn update(&mut self, app: &App) -> Result<Update, Problem> {
        // The job is older than the bytes: the log of an attempt that is over in it is complete.
        let job = look_up(app, &self.proof, &self.id).await?;
        loop {
            let followed = self.attempt < job.attempt;
            let complete = followed || job.state.is_final();
            if let Some(message) = self.read(app, &job, complete).await? {
                return Ok(Update::Messages(vec![message]));
            }
            if followed && !self.fixed {
                (self.attempt, self.offset) = (self.attempt + 1, 0);
            } else if job.state.is_final() {
                return Ok(Update::End(job.state));
            } else {
                return Ok(Update::Pending);
            }
        }
    }
}

struct EventSource {
    proof: Proof,
    id: String,
    after: u64,
    #[expect(dead_code, reason = "it counts until it is dropped")]
    permit: Permit,
}

impl Source for EventSource {
    async fn update(&mut self, app: &App) -> Result<Update, Problem> {
        // The state is older than the events: those of a final job are complete.
        let job = look_up(app, &self.proof, &self.id).await?;
        let after = self.after;
        let events =
            app.store().run(move |store| store.events(&job.id, after, LARGEST_BATCH)).await?;
        let Some(last) = events.last() else {
            return Ok(if job.state.is_final() { Update::End(job.state) } else { Update::Pending });
        };
        self.after = last.seq;
        let message = |event: &Event| {
            let data = serde_json::to_string(event).unwrap_or_default();
            Message::default().event(&event.kind).id(event.seq.to_string()).data(data)
        };
        Ok(Update::Messages(events.iter().map(message).collect()))
    }
}

/// Streams what a source gives, until it ends or fails, or the server stops.
fn sse(app: App, source: impl Source) -> Sse<impl Stream<Item = Result<Message, Infallible>>> {
    let batches = stream::unfold(Some((app, source)), async |state| {
        let (app, mut source) = state?;
        while !app.is_draining() {
            match source.update(&app).await {
                Ok(Update::Messages(messages)) => return Some((messages, Some((app, source)))),
                Ok(Update::End(state)) => {
                    let data = json!({ "state": state.name() }).to_string();
                    return Some((vec![Message::default().event("end").data(data)], None));
                }
                Ok(Update::Pending) => tokio::time::sleep(POLL).await,
                Err(_) => return None,
            }
        }
        None
    });
    let messages = batches.flat_map(|messages| stream::iter(messages.into_iter().map(Ok)));
    Sse::new(messages).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

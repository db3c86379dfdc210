//! The spans of native threads, whose fields say for which fit and task a thread works.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tracing::Metadata;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_core::span::Current;

thread_local! {
    /// The spans that this thread has entered, the innermost last.
    static ENTERED: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
}

/// The open spans of the process.
#[derive(Default)]
pub(super) struct Spans {
    last: AtomicU64,
    open: Mutex<HashMap<u64, OpenSpan>>,
}

struct OpenSpan {
    metadata: &'static Metadata<'static>,
    fields: Fields,
    handles: usize,
}

/// Names and values of fields, each name once.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field.name(), format!("{value:?}"));
    }
}

impl Fields {
    fn set(&mut self, name: &'static str, value: String) {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, value));
    }
}

impl Spans {
    /// Opens a span with one handle.
    pub(super) fn open(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let span = OpenSpan { metadata: attributes.metadata(), fields, handles: 1 };
        self.open.lock().insert(id, span);
        Id::from_u64(id)
    }

    /// Sets further fields of a span.
    pub(super) fn record(&self, span: &Id, values: &Record<'_>) {
        if let Some(span) = self.open.lock().get_mut(&span.into_u64()) {
            values.record(&mut span.fields);
        }
    }

    /// Counts a further handle of a span.
    pub(super) fn share(&self, span: &Id) -> Id {
        if let Some(span) = self.open.lock().get_mut(&span.into_u64()) {
            span.handles += 1;
        }
        span.clone()
    }

    /// Drops a handle of a span; returns true if it was the last.
    pub(super) fn close(&self, span: &Id) -> bool {
        let mut open = self.open.lock();
        let Some(known) = open.get_mut(&span.into_u64()) else { return false };
        known.handles -= 1;
        let closed = known.handles == 0;
        if closed {
            open.remove(&span.into_u64());
        }
        closed
    }

    /// Adds a span to those of this thread.
    pub(super) fn enter(&self, span: &Id) {
        // A thread that ends has no context any more.
        let _ending = ENTERED.try_with(|entered| entered.borrow_mut().push(span.clone()));
    }

    /// Removes a span from those of this thread.
    pub(super) fn exit(&self, span: &Id) {
        let _ending = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            if let Some(index) = entered.iter().rposition(|id| id == span) {
                entered.remove(index);
            }
        });
    }

    /// The innermost span of this thread.
    pub(super) fn current(&self) -> Current {
        let last = ENTERED.try_with(|entered| entered.borrow().last().cloned()).ok().flatten();
        last.and_then(|id| {
            let metadata = self.open.lock().get(&id.into_u64())?.metadata;
            Some(Current::new(id, metadata))
        })
        .unwrap_or_else(Current::none)
    }

    /// Returns the fields of this thread's spans as alternating names and values; inner spans override outer ones.
    pub(super) fn context(&self) -> Vec<String> {
        let entered = ENTERED.try_with(|entered| entered.borrow().clone()).unwrap_or_default();
        let open = self.open.lock();
        let mut fields = Fields::default();
        for span in entered.iter().filter_map(|id| open.get(&id.into_u64())) {
            for (name, value) in &span.fields.0 {
                fields.set(name, value.clone());
            }
        }
        fields.0.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }
}

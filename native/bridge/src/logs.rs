//! Events of native code, which go to slf4j.

use std::cell::Cell;
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU8, Ordering};

use jni::objects::{JClass, JObjectArray, JString};
use jni::strings::JNIString;
use jni::sys::jint;
use jni::vm::AttachConfig;
use jni::{Env, JavaVM, bind_java_type, jni_str};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry, Scope, SpanRef};

use crate::calls::CALLS;
use crate::errors::{BridgeError, ThrowCoded};

bind_java_type! {
    NativeLog => firesteel.bridge.NativeLog,
    methods {
        static fn level() -> jint,
        static fn log(level: jint, logger: JString, message: JString, context: [JString]),
    },
    hooks = {
        // As in `errors`. The class is cached by the first call, which a native makes: a thread that Java did not start
        // would not find it.
        load_class = |env, _context, _initialize| {
            env.find_class(jni_str!("firesteel/bridge/NativeLog"))
        },
    },
}

/// The most verbose level that slf4j accepts: 0 for none, 1 for errors, up to 5 for traces.
static LEVEL: AtomicU8 = AtomicU8::new(0);

thread_local! {
    /// True while this thread passes an event to slf4j.
    static IN_EVENT: Cell<bool> = const { Cell::new(false) };
}

native!(start_logs());

fn start_logs<'local>(env: &mut Env<'local>, _: JClass<'local>) -> Result<(), BridgeError> {
    let vm = env.get_java_vm()?;
    // Fails if it was set before, and then changes nothing.
    let _again = tracing::subscriber::set_global_default(Registry::default().with(Slf4j { vm }));
    update_level(env);
    Ok(())
}

/// Asks slf4j for its level, which may have changed since the last fit.
pub(crate) fn update_level(env: &mut Env<'_>) {
    let Ok(level) = NativeLog::level(env) else {
        // A call must not fail because of its log.
        env.exception_clear();
        return;
    };
    let level = u8::try_from(level).unwrap_or(0);
    if LEVEL.swap(level, Ordering::Relaxed) != level {
        tracing::callsite::rebuild_interest_cache();
    }
}

/// The layer that passes events to slf4j, with the fields of their spans in the MDC.
struct Slf4j {
    vm: JavaVM,
}

/// The fields of a span.
struct Fields(Vec<(&'static str, String)>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Slf4j {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        number(*metadata.level()) <= LEVEL.load(Ordering::Relaxed)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match LEVEL.load(Ordering::Relaxed) {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields(Vec::new());
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // An appender may call native code, whose events would come back here.
        if !IN_EVENT.replace(true) {
            let _end = EventEnd;
            // From the outermost span to the innermost, whose value of a name replaces an earlier one in the MDC.
            let spans = context.event_scope(event).into_iter().flat_map(Scope::from_root);
            let fields: Vec<_> = spans.flat_map(|span| fields(&span)).collect();
            // A caller must not fail because of its log.
            let _lost = self.log(event, &fields);
        }
    }
}

/// Ends an event, also after a panic.
struct EventEnd;

impl Drop for EventEnd {
    fn drop(&mut self) {
        IN_EVENT.set(false);
    }
}

/// Returns the fields of a span as alternating names and values.
fn fields<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>) -> Vec<String> {
    let extensions = span.extensions();
    let fields = extensions.get::<Fields>().into_iter().flat_map(|fields| &fields.0);
    fields.flat_map(|(name, value)| [(*name).to_owned(), value.clone()]).collect()
}

impl Slf4j {
    fn log(&self, event: &Event<'_>, context: &[String]) -> Result<(), BridgeError> {
        // The JVM waits at its end for this call, and after that no thread may call it.
        let _call = CALLS.enter()?;
        let level = jint::from(number(*event.metadata().level()));
        let logger = logger_of(event.metadata().target());
        let mut text = Text::default();
        event.record(&mut text);
        let message = text.message + &text.fields;
        let thread = std::thread::current();
        let thread = JNIString::from(thread.name().unwrap_or("firesteel"));
        // Only for this event, so that a thread of native code never delays the end of the JVM.
        let attach = || AttachConfig::new().scoped(true).thread_name(&thread);
        self.vm.attach_current_thread_with_config(attach, Some(16 + context.len()), |env| {
            let logger = env.new_string(logger)?;
            let message = env.new_string(message)?;
            let pairs = JObjectArray::<JString>::new(env, context.len(), JString::null())?;
            for (index, part) in context.iter().enumerate() {
                let part = env.new_string(part)?;
                pairs.set_element(env, index, &part)?;
            }
            NativeLog::log(env, level, &logger, &message, &pairs)?;
            Ok(())
        })
    }
}

/// The message of an event and its other fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// Returns the name of the logger of a Rust module: `firesteel.native.ps.net` for `firesteel_ps::net`.
fn logger_of(module: &str) -> String {
    module.replacen("firesteel_", "firesteel.native.", 1).replace("::", ".")
}

#[cfg(test)]
mod tests {
    use super::logger_of;

    #[test]
    fn the_logger_of_a_module_is_below_firesteel_native() {
        assert_eq!(logger_of("firesteel_train::task"), "firesteel.native.train.task");
        assert_eq!(logger_of("firesteel_ps::net::handshake"), "firesteel.native.ps.net.handshake");
    }
}

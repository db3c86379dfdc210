//! Events of native code, which go to slf4j.

mod spans;

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
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Subscriber;
use tracing::{Event, Level, Metadata};
use tracing_core::span::Current;

use self::spans::Spans;
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
    let _again = tracing::subscriber::set_global_default(Slf4j { vm, spans: Spans::default() });
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

/// The subscriber that passes events to slf4j, with the fields of the thread's spans in the MDC.
struct Slf4j {
    vm: JavaVM,
    spans: Spans,
}

impl Subscriber for Slf4j {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
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

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.spans.open(attributes)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.spans.record(span, values);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        // An appender may call native code, whose events would come back here.
        if !IN_EVENT.replace(true) {
            // A caller must not fail because of its log.
            let _lost = self.log(event);
            IN_EVENT.set(false);
        }
    }

    fn enter(&self, span: &Id) {
        self.spans.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.spans.exit(span);
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.spans.share(span)
    }

    fn try_close(&self, span: Id) -> bool {
        self.spans.close(&span)
    }

    fn current_span(&self) -> Current {
        self.spans.current()
    }
}

impl Slf4j {
    fn log(&self, event: &Event<'_>) -> Result<(), BridgeError> {
        // The JVM waits at its end for this call, and after that no thread may call it.
        let _call = CALLS.enter()?;
        let level = jint::from(number(*event.metadata().level()));
        let logger = logger_of(event.metadata().target());
        let mut text = Text::default();
        event.record(&mut text);
        let message = text.message + &text.fields;
        let context = self.spans.context();
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

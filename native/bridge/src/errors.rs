//! Conversion of Rust errors and panics to Java exceptions.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use firesteel_core::{ChannelError, Coded, ErrorCode, OptionError};
use firesteel_data::DataError;
use firesteel_ps::PsError;
use firesteel_train::TrainError;
use jni::errors::ErrorPolicy;
use jni::objects::JThrowable;
use jni::sys::jint;
use jni::{Env, bind_java_type, jni_str};

bind_java_type! {
    NativeErrors => firesteel.bridge.NativeErrors,
    methods {
        static fn create(code: jint, message: JString) -> java.lang.RuntimeException,
    },
    hooks = {
        // The class loader of the running native method, not that of the thread: another application in the same JVM
        // may have its own Firesteel.
        load_class = |env, _context, _initialize| {
            env.find_class(jni_str!("firesteel/bridge/NativeErrors"))
        },
    },
}

/// The error of a native method.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BridgeError {
    /// An error with a code.
    #[error("{message}")]
    Coded { code: ErrorCode, message: String },
    /// A call into the JVM failed; usually an exception is pending then.
    #[error("a call into the JVM failed: {0}")]
    Jni(#[from] jni::errors::Error),
}

impl BridgeError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Coded { code, message: message.into() }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Coded { code, .. } => *code,
            Self::Jni(_) => ErrorCode::Internal,
        }
    }
}

/// Java gets the code and the text of the other crates' errors.
macro_rules! from_coded {
    ($($error:ty),+) => {$(
        impl From<$error> for BridgeError {
            fn from(error: $error) -> Self {
                Self::new(error.code(), error.to_string())
            }
        }
    )+};
}

from_coded!(ChannelError, DataError, OptionError, PsError, TrainError);

/// The error policy of every native: throws the exception of the error's code.
pub(crate) struct ThrowCoded;

impl<T: Default> ErrorPolicy<T, BridgeError> for ThrowCoded {
    type Captures<'unowned_env_local: 'native_method, 'native_method> = ();

    fn on_error<'unowned_env_local: 'native_method, 'native_method>(
        env: &mut Env<'unowned_env_local>,
        (): &mut Self::Captures<'unowned_env_local, 'native_method>,
        error: BridgeError,
    ) -> jni::errors::Result<T> {
        throw(env, error.code(), &error.to_string())?;
        Ok(T::default())
    }

    fn on_panic<'unowned_env_local: 'native_method, 'native_method>(
        env: &mut Env<'unowned_env_local>,
        (): &mut Self::Captures<'unowned_env_local, 'native_method>,
        payload: Box<dyn Any + Send + 'static>,
    ) -> jni::errors::Result<T> {
        throw(env, ErrorCode::Panic, &format!("Rust panic: {}", panic_text(payload)))?;
        Ok(T::default())
    }
}

/// Throws the exception of this code, unless one is pending, which came first and is more specific.
fn throw(env: &mut Env<'_>, code: ErrorCode, message: &str) -> jni::errors::Result<()> {
    if env.exception_check() {
        return Ok(());
    }
    let text = env.new_string(message)?;
    let exception = NativeErrors::create(env, jint::from(code.number()), &text)?;
    let exception = env.cast_local::<JThrowable>(exception)?;
    match env.throw(exception) {
        // The pending exception is the intended result.
        Err(jni::errors::Error::JavaException) => Ok(()),
        other => other,
    }
}

/// Returns the message of a panic: a literal, or a formatted text.
fn panic_text(payload: Box<dyn Any + Send + 'static>) -> String {
    let payload = match payload.downcast::<String>() {
        Ok(text) => return *text,
        Err(other) => other,
    };
    match payload.downcast::<&'static str>() {
        Ok(text) => (*text).to_owned(),
        Err(other) => {
            // Dropping a foreign payload may panic.
            if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(other))) {
                std::mem::forget(second);
            }
            "without a text".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::panic::{catch_unwind, panic_any};

    use firesteel_core::{ChannelError, ErrorCode};

    use super::{BridgeError, panic_text};

    #[test]
    fn the_java_table_has_exactly_the_codes_of_core() {
        let table = include_str!(
            "../../../spark-plugin/src/main/resources/firesteel/error-codes.properties"
        );
        let table: BTreeMap<u16, &str> = table
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| {
                let (number, class) = line.split_once('=').unwrap();
                (number.parse().unwrap(), class)
            })
            .collect();
        let codes: Vec<u16> = ErrorCode::ALL.into_iter().map(ErrorCode::number).collect();
        assert_eq!(table.keys().copied().collect::<Vec<_>>(), codes);
        for code in ErrorCode::ALL {
            let class = table[&code.number()];
            // The kind's name is in its class's: Diverged in TrainingDivergedException.
            assert!(class.contains(&format!("{code:?}")), "{code:?} is {class}");
        }
    }

    #[test]
    fn the_text_of_a_panic_is_kept_whether_literal_or_formatted() {
        let text = |run: fn()| panic_text(catch_unwind(run).unwrap_err());
        assert_eq!(text(|| panic!("a literal")), "a literal");
        assert_eq!(text(|| panic!("{} of {}", 3, "four")), "3 of four");
        assert_eq!(text(|| panic_any(7_u8)), "without a text");
    }

    #[test]
    fn an_error_of_another_crate_keeps_code_and_text() {
        let source = ChannelError::new(ErrorCode::Fenced, "worker 1.0 has a newer attempt");
        let error = BridgeError::from(source);
        assert_eq!(error.code(), ErrorCode::Fenced);
        assert_eq!(error.to_string(), "worker 1.0 has a newer attempt");
    }
}

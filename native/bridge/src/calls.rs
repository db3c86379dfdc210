//! The calls that are running. The JVM must not run C++ static destructors during them (`Shutdown.java`), so it can
//! stop them and wait for their end.

use std::time::{Duration, Instant};

use firesteel_core::ErrorCode;
use parking_lot::{Condvar, Mutex};

use crate::errors::BridgeError;

/// The calls of this process.
pub(crate) static CALLS: Calls = Calls::new();

/// Counts running calls and can refuse further ones.
pub(crate) struct Calls {
    state: Mutex<CallState>,
    idle: Condvar,
}

struct CallState {
    active: usize,
    leaving: bool,
}

/// A call in progress, until dropped.
pub(crate) struct ActiveCall<'a>(&'a Calls);

impl Calls {
    const fn new() -> Self {
        Self { state: Mutex::new(CallState { active: 0, leaving: false }), idle: Condvar::new() }
    }

    /// Registers a call, unless the process is shutting down.
    pub(crate) fn enter(&self) -> Result<ActiveCall<'_>, BridgeError> {
        let mut state = self.state.lock();
        if state.leaving {
            return Err(BridgeError::new(ErrorCode::Cancelled, "the JVM is shutting down"));
        }
        state.active += 1;
        Ok(ActiveCall(self))
    }

    /// Refuses calls from now on.
    pub(crate) fn leave(&self) {
        self.state.lock().leaving = true;
    }

    /// Waits until no call is running; returns false after `timeout`.
    pub(crate) fn wait_until_idle(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock();
        while state.active > 0 {
            if self.idle.wait_until(&mut state, deadline).timed_out() {
                return state.active == 0;
            }
        }
        true
    }
}

impl Drop for ActiveCall<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.active -= 1;
        if state.active == 0 {
            self.0.idle.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::Calls;

    #[test]
    fn a_leaving_process_waits_for_active_calls_and_refuses_new_ones() {
        let calls = Calls::new();
        let call = calls.enter().unwrap();
        calls.leave();
        assert!(calls.enter().is_err());
        assert!(!calls.wait_until_idle(Duration::from_millis(10)));
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                drop(call);
            });
            assert!(calls.wait_until_idle(Duration::from_secs(10)));
        });
    }

    #[test]
    fn a_call_that_panics_is_over() {
        let calls = Calls::new();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _call = calls.enter().unwrap();
            panic!("inside a call");
        }));
        assert!(result.is_err());
        assert!(calls.wait_until_idle(Duration::ZERO));
    }
}

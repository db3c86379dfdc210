//! The launch of attempts: the arguments of `spark-submit`, and the process that supervises it.

mod attempt;
mod environment;
mod processes;
mod submit;
mod supervised;
#[cfg(test)]
mod tests;

use std::io;

use crate::store::Job;

pub use attempt::{Attempt, Cause, Exit, Launch, Started};
pub use environment::{environment, marker};
pub(crate) use processes::{kill_left, reap_orphans};
pub use submit::{Plan, plan};
pub use supervised::Supervised;

/// The program of this process. The link leads to it also after an upgrade has replaced the file.
pub const ITSELF: &str = "/proc/self/exe";
/// The name of the program in a list of processes.
pub const NAME: &str = "firesteel-punchcard";

/// The state of an attempt's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// No process has started; one that was launched still may.
    NotStarted,
    /// The process exists.
    Running,
    /// The process ended.
    Ended(Exit),
    /// The supervisor was killed, or the machine restarted, before the end was recorded.
    Lost,
}

/// The means to start and end attempts. Every method may be called again after a crash, with the same effect.
pub trait Launcher: Send {
    /// Starts the job's present attempt, unless it has started before.
    ///
    /// # Errors
    /// If the process cannot be created.
    fn start(&mut self, job: &Job) -> io::Result<()>;

    /// Returns the state of the attempt's process.
    ///
    /// # Errors
    /// If a file cannot be read.
    fn status(&mut self, job: &Job) -> io::Result<Status>;

    /// Asks the attempt's process to end.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn cancel(&mut self, job: &Job) -> io::Result<()>;

    /// Makes sure that an attempt which has not started never will; returns false if it has.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn abandon(&mut self, job: &Job) -> io::Result<bool>;

    /// Ends what is left of the processes of an attempt that was lost.
    ///
    /// # Errors
    /// If the processes cannot be listed.
    fn clean_up(&mut self, job: &Job) -> io::Result<()>;
}

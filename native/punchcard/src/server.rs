//! The server: the dispatcher's thread and the HTTP interface.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::dispatcher::{Dispatcher, Sweeper};
use crate::files::Layout;
use crate::http::{self, App, Hosts};
use crate::launch::Supervised;
use crate::page;
use crate::store::Store;

/// The time between two looks at the jobs.
const STEP: Duration = Duration::from_millis(200);
/// The most threads that wait for files and for the database at a time.
pub const BLOCKING_THREADS: usize = 32;
/// The time for which a child that a killed server has just forked may hold the server's lock.
const LOCK: Duration = Duration::from_secs(2);
/// The time between two removals of what is no longer kept.
const SWEEP: Duration = Duration::from_secs(60);

/// Runs a server until it gets SIGTERM or SIGINT. Jobs go on: the next server adopts them.
///
/// # Errors
/// If a folder, the database, a certificate or the address cannot be used.
pub async fn run(config: Config, program: PathBuf) -> io::Result<()> {
    let config = Arc::new(config);
    let layout = Layout::create(&config.data)?;
    let _lock = lock(&layout, &config).await?;
    let store = Store::open(&layout.database()).map_err(io::Error::other)?;
    let tls = config.tls.as_ref().map(http::tls).transpose()?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => "; end the program that uses it, or choose another port",
            io::ErrorKind::AddrNotAvailable => "; choose an address of this machine",
            io::ErrorKind::PermissionDenied => "; choose a port from 1024 on",
            _ => "",
        };
        io::Error::new(error.kind(), format!("listen = '{}': {error}{remedy}", config.listen))
    })?;
    let address = listener.local_addr()?;
    let hosts = Hosts::new(address, &config.hosts, tls.is_some());
    let (wake, woken) = mpsc::sync_channel(1);
    let app = App::new(Arc::clone(&config), layout.clone(), store.clone(), hosts, wake);
    let stop = Arc::new(AtomicBool::new(false));
    let launcher = Supervised::new(Arc::clone(&config), layout.clone(), store.clone(), program);
    let dispatcher = Dispatcher::new(store.clone(), Arc::clone(&config), layout.clone(), launcher);
    layout.clear_incoming()?;
    let sweeper = Sweeper::new(store, Arc::clone(&config), layout);
    let (stopping, stopped) = watch::channel(());
    let thread = thread::Builder::new().name("dispatcher".to_owned()).spawn({
        let (stop, app) = (Arc::clone(&stop), app.clone());
        // Without its dispatcher the server ends, so that whatever runs it starts it again.
        let ending = Ending(app.clone(), stopping.clone());
        move || {
            let _ending = ending;
            dispatch(dispatcher, &woken, &stop, &app);
        }
    })?;
    // The removal of a large folder must not hold up jobs.
    let (kept, dropped) = mpsc::channel();
    let sweeping = thread::Builder::new()
        .name("sweeper".to_owned())
        .spawn(move || sweep(&sweeper, &dropped))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let ending = Ending(app.clone(), stopping);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("the server stops; jobs go on");
        drop(ending);
    });
    let scheme = if tls.is_some() { "https" } else { "http" };
    tracing::info!("listening on {scheme}://{address}");
    http::serve(listener, http::router(&app, page::router()), tls, config.limits, stopped).await?;
    stop.store(true, Ordering::Relaxed);
    drop(kept);
    // What a sweep has not removed when the process ends, the next one removes.
    drop(sweeping);
    thread.join().map_err(|_| io::Error::other("the dispatcher failed"))
}

/// Locks the folder of a server until the file is dropped.
async fn lock(layout: &Layout, config: &Config) -> io::Result<File> {
    let file = File::create(layout.lock())?;
    let end = Instant::now() + LOCK;
    while file.try_lock().is_err() {
        if Instant::now() > end {
            return Err(io::Error::other(format!(
                "another server uses the folder '{}'; stop it, or set another folder as data",
                config.data.display()
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(file)
}

/// Ends the server when it is dropped.
struct Ending(App, watch::Sender<()>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.drain();
        let _ = self.1.send(());
    }
}

fn dispatch(
    mut dispatcher: Dispatcher<Supervised>,
    woken: &Receiver<()>,
    stop: &AtomicBool,
    app: &App,
) {
    while !stop.load(Ordering::Relaxed) {
        match dispatcher.step() {
            Ok(_) => app.note_dispatch(),
            Err(error) => tracing::error!(%error, "jobs wait"),
        }
        let _ = woken.recv_timeout(STEP);
    }
}

/// Sweeps now and then until the server drops the sender.
fn sweep(sweeper: &Sweeper, dropped: &Receiver<()>) {
    loop {
        if let Err(error) = sweeper.sweep() {
            tracing::error!(%error, "old files are left for now");
        }
        if dropped.recv_timeout(SWEEP) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tokio::sync::watch;

    use super::Ending;
    use crate::http::testing::app;

    #[test]
    fn a_server_whose_dispatcher_fails_takes_no_more_jobs_and_stops() {
        let (_folder, app) = app();
        let (stopping, stopped) = watch::channel(());
        let ending = Ending(app.clone(), stopping.clone());
        assert!(!app.is_draining());
        let failed = thread::spawn(move || {
            let _ending = ending;
            std::panic::resume_unwind(Box::new("a failure"));
        });
        failed.join().expect_err("a failure");
        assert!(app.is_draining() && stopped.has_changed().expect("a sender"));
    }
}

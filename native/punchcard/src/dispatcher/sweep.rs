//! The removal of what is no longer kept.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock::{self, DAY};
use crate::config::Config;
use crate::files::{self, Layout};
use crate::id::is_id;
use crate::store::{Result, Store};

/// The time after which a file that no row names is removed: it is longer than an upload takes.
const ORPHAN: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes jobs after their retention, uploads that no job needs, and files that no row names.
#[derive(Clone, Debug)]
pub struct Sweeper {
    store: Store,
    config: Arc<Config>,
    layout: Layout,
}

impl Sweeper {
    /// Creates a sweeper.
    #[must_use]
    pub const fn new(store: Store, config: Arc<Config>, layout: Layout) -> Self {
        Self { store, config, layout }
    }

    /// Removes what is no longer kept. A file that cannot be removed is logged and tried again at the next time.
    ///
    /// # Errors
    /// If the database fails, or a folder cannot be read.
    pub fn sweep(&self) -> Result<()> {
        let now = clock::now();
        for user in self.store.users()? {
            let days = user.quotas(&self.config.quotas).retention_days;
            for id in self.store.finished_before(&user.name, now - i64::from(days) * DAY)? {
                self.store.remove_job(&id)?;
            }
        }
        self.store.remove_unused_uploads(now - DAY)?;
        for (name, _) in entries(&self.layout.jobs())? {
            if is_id(&name) && !self.store.has_job(&name)? {
                report(&name, files::remove_tree(&self.layout.job(&name)));
            }
        }
        for (name, age) in entries(&self.layout.uploads())? {
            let id = name.split('.').next().unwrap_or("");
            if age > ORPHAN && self.store.upload(id)?.is_none() {
                report(&name, fs::remove_file(self.layout.uploads().join(&name)));
            }
        }
        for (name, age) in entries(&self.layout.incoming())? {
            if age > ORPHAN {
                report(&name, fs::remove_file(self.layout.incoming().join(&name)));
            }
        }
        Ok(())
    }
}

fn report(name: &str, result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(name, %error, "a file is left for now");
    }
}

/// Returns the names in a folder, each with the time since its last change.
fn entries(folder: &Path) -> io::Result<Vec<(String, Duration)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // It may have been removed since.
        let Ok(changed) = entry.metadata().and_then(|metadata| metadata.modified()) else {
            continue;
        };
        let age = SystemTime::now().duration_since(changed).unwrap_or_default();
        found.extend(entry.file_name().into_string().ok().map(|name| (name, age)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::Sweeper;
    use crate::files::Layout;
    use crate::id::new_id;
    use crate::store::testing::store;

    #[test]
    fn a_sweep_goes_on_after_what_it_cannot_remove() {
        let (folder, store) = store();
        let layout = Layout::create(folder.path()).expect("folders");
        let mut ids: Vec<_> = (0..8).map(|_| new_id().expect("an id")).collect();
        // The order in which a folder is read is not known: half of the entries cannot be removed.
        let kept = ids.split_off(4);
        for id in &kept {
            // A file in the place of a folder.
            fs::write(layout.job(id), "").expect("a file");
        }
        for id in &ids {
            fs::create_dir_all(layout.attempt(id, 1)).expect("a folder");
        }
        let config = toml::from_str(
            "data = '/data'\nfiresteel = { python = '/python' }\n\
             clusters.local = { master = 'local', spark_submit = '/submit' }",
        )
        .expect("a configuration");
        Sweeper::new(store, Arc::new(config), layout.clone()).sweep().expect("a sweep");
        for id in &ids {
            assert!(!layout.job(id).exists(), "{id}");
        }
        for id in &kept {
            assert!(layout.job(id).exists(), "{id}");
        }
    }
}

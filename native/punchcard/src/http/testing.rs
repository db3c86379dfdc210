//! An application for tests, without a dispatcher.

use std::sync::{Arc, mpsc};

use super::{App, Hosts};
use crate::config::Config;
use crate::files::Layout;
use crate::store::testing::store;

/// An application over a folder that is removed at the end.
pub(crate) fn app() -> (tempfile::TempDir, App) {
    let (folder, store) = store();
    let config: Config = toml::from_str(
        "data = '/data'\nfiresteel = { python = '/python' }\n\
         clusters.local = { master = 'local', spark_submit = '/submit' }",
    )
    .expect("a configuration");
    let layout = Layout::create(folder.path()).expect("folders");
    let hosts = Hosts::new(config.listen, &[], false);
    let (wake, _) = mpsc::sync_channel(1);
    (folder, App::new(Arc::new(config), layout, store, hosts, wake))
}

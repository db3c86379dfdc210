//! The events that a driver writes to a file, one JSON object a line.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::clock;
use crate::files;
use crate::store::NewEvent;

/// The largest number of bytes that are read at a time.
const CHUNK: u64 = 256 * 1024;
/// The largest number of bytes of an event's line.
const LINE: usize = 64 * 1024;
/// The longest id of an application.
const APPLICATION: usize = 128;

/// The events of whole lines that were not read before.
#[derive(Debug)]
pub(super) struct NewEvents {
    pub(super) events: Vec<NewEvent>,
    /// The offset after the last line.
    pub(super) read: u64,
    /// The job's progress after them, if they change it.
    pub(super) progress: Option<Value>,
    /// The id of the application, if an event gives it.
    pub(super) application: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    time: String,
    #[serde(rename = "type")]
    kind: String,
    data: Map<String, Value>,
}

/// Reads the lines after an offset; none if there is no whole one.
///
/// A driver runs programs of users, so that the file may contain anything: lines that are not events are left out.
pub(super) fn read(
    file: &Path,
    offset: u64,
    progress: Option<&Value>,
) -> io::Result<Option<NewEvents>> {
    let mut file = match files::open_regular(file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(CHUNK).read_to_end(&mut bytes)?;
    let end = match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(last) => last + 1,
        // An event is never as long as this line.
        None if bytes.len() as u64 == CHUNK => bytes.len(),
        None => return Ok(None),
    };
    let lines = bytes[..end].split(|byte| *byte == b'\n');
    let mut new = NewEvents {
        events: Vec::new(),
        read: offset + end as u64,
        progress: None,
        application: None,
    };
    let mut known = progress.and_then(Value::as_object).cloned().unwrap_or_default();
    let lines = lines.filter(|line| line.len() <= LINE);
    for line in lines.filter_map(|line| serde_json::from_slice::<Line>(line).ok()) {
        let Some(time) = clock::parse(&line.time) else { continue };
        let taken: &[&str] = match line.kind.as_str() {
            "fit" => &["epochs", "workers"],
            "epoch" => &["epoch", "epochs", "loss"],
            "progress" => &["epoch", "epochs", "rows"],
            "result" => &["rows"],
            "failure" => &[],
            _ => continue,
        };
        if line.kind == "fit" {
            known.clear();
            known.insert("epoch".to_owned(), 0.into());
            let application = line.data.get("application").and_then(Value::as_str);
            let application = application.filter(|id| is_application(id));
            new.application = application.map(str::to_owned).or(new.application);
        }
        for key in taken {
            // A loss that is not finite is null.
            let value = line.data.get(*key).filter(|value| value.is_number() || value.is_null());
            if let Some(value) = value {
                known.insert((*key).to_owned(), value.clone());
            }
        }
        if !taken.is_empty() {
            new.progress = Some(Value::Object(known.clone()));
        }
        new.events.push(NewEvent { time, kind: line.kind, data: Value::Object(line.data) });
    }
    Ok(Some(new))
}

fn is_application(id: &str) -> bool {
    (1..=APPLICATION).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use serde_json::json;

    use super::{APPLICATION, CHUNK, LINE, read};

    #[test]
    fn events_are_read_once_and_only_by_whole_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("events.jsonl");
        assert!(read(&file, 0, None).expect("an answer").is_none());
        let fit = r#"{"time":"2026-11-30T05:10:00.123Z","type":"fit","data":{"fit":0,"epochs":3,"workers":2,"application":"local-1"}}"#;
        let epoch = r#"{"time":"2026-11-30T05:10:01.123Z","type":"epoch","data":{"fit":0,"epoch":1,"epochs":3,"loss":0.5}}"#;
        fs::write(&file, format!("{fit}\n{}", &epoch[..40])).expect("a file");
        let first = read(&file, 0, None).expect("an answer").expect("events");
        assert_eq!(first.events.len(), 1);
        assert_eq!(first.application.as_deref(), Some("local-1"));
        fs::write(&file, format!("{fit}\n{epoch}\n")).expect("a file");
        let second =
            read(&file, first.read, first.progress.as_ref()).expect("an answer").expect("events");
        assert_eq!(second.events[0].kind, "epoch");
        let expected = json!({"epoch": 1, "epochs": 3, "workers": 2, "loss": 0.5});
        assert_eq!(second.progress, Some(expected));
        assert!(read(&file, second.read, None).expect("an answer").is_none());
    }

    #[test]
    fn lines_that_are_not_events_are_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("events.jsonl");
        let length = usize::try_from(CHUNK).expect("a size") + 10;
        let mut text = "x".repeat(length);
        text.push_str("\n{}\n[1]\n{\"time\":\"now\",\"type\":\"fit\",\"data\":{}}\n");
        text.push_str("{\"time\":\"2026-11-30T05:10:00Z\",\"type\":\"state\",\"data\":{\"state\":\"SUCCEEDED\"}}\n");
        fs::write(&file, &text).expect("a file");
        let mut offset = 0;
        while let Some(new) = read(&file, offset, None).expect("an answer") {
            assert!(new.events.is_empty(), "{:?}", new.events);
            offset = new.read;
        }
        assert_eq!(offset, text.len() as u64);
    }

    #[test]
    fn progress_has_numbers_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("events.jsonl");
        let data = json!({"fit": 0, "epoch": 2, "epochs": {"a": [1]}, "loss": "x".repeat(1000), "rows": 7});
        let event = json!({"time": "2026-11-30T05:10:00Z", "type": "epoch", "data": data});
        let application = "a".repeat(APPLICATION + 1);
        let data = json!({"epochs": "3", "workers": true, "application": application});
        let fit = json!({"time": "2026-11-30T05:10:00Z", "type": "fit", "data": data});
        fs::write(&file, format!("{fit}\n{event}\n")).expect("a file");
        let new = read(&file, 0, None).expect("an answer").expect("events");
        assert_eq!(new.progress, Some(json!({"epoch": 2})));
        assert_eq!((new.events.len(), new.application), (2, None));
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("events.jsonl");
        let event = |text: String| json!({"time": "2026-11-30T05:10:00Z", "type": "epoch", "data": {"text": text}});
        let (long, short) = (event("x".repeat(LINE)), event("x".repeat(LINE / 2)));
        fs::write(&file, format!("{long}\n{short}\n")).expect("a file");
        let new = read(&file, 0, None).expect("an answer").expect("events");
        assert_eq!(new.events.len(), 1);
    }

    #[test]
    fn a_pipe_a_device_or_a_folder_instead_of_the_file_is_an_error_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let made = Command::new("mkfifo").arg(path("pipe")).status().expect("a process");
        assert!(made.success());
        std::os::unix::fs::symlink("/dev/zero", path("device")).expect("a link");
        fs::create_dir(path("folder")).expect("a folder");
        for name in ["pipe", "device", "folder"] {
            let (answer, answered) = mpsc::channel();
            let file = path(name);
            std::thread::spawn(move || answer.send(read(&file, 0, None).is_err()));
            assert_eq!(answered.recv_timeout(Duration::from_secs(20)), Ok(true), "{name}");
        }
    }
}

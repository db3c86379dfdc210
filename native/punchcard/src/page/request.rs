//! A job's request as groups of named values.

use serde_json::{Map, Value};

use crate::job::{DataSource, JobRequest, Work};

/// Values that belong together.
#[derive(Debug)]
pub struct Group {
    /// The title.
    pub title: &'static str,
    /// The names and values.
    pub rows: Vec<(String, String)>,
}

impl Group {
    const fn new(title: &'static str) -> Self {
        Self { title, rows: Vec::new() }
    }

    fn add(&mut self, name: &str, value: impl ToString) {
        self.rows.push((name.to_owned(), value.to_string()));
    }

    fn add_given(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }
}

/// Returns the groups of a request that have values.
pub fn groups(request: &JobRequest) -> Vec<Group> {
    let mut work = Group::new("Work");
    let mut arguments = Group::new("Arguments");
    match &request.work {
        Work::Trainer { trainer, network, weights, shuffle, .. } => {
            work.add("Trainer", &trainer.class);
            work.add("Network", format!("upload {network}"));
            work.add_given("Weights", weights.as_ref().map(|id| format!("upload {id}")));
            work.add("Shuffle", if *shuffle { "yes" } else { "no" });
            arguments.rows = values(&trainer.arguments);
        }
        Work::Estimator { estimator, params, network, weights, .. } => {
            work.add("Estimator", estimator);
            work.add("Network", format!("upload {network}"));
            work.add_given("Weights", weights.as_ref().map(|id| format!("upload {id}")));
            arguments = Group { title: "Params", rows: values(params) };
        }
        Work::Program { file, main_class, arguments: given, files } => {
            work.add("Program", format!("upload {file}"));
            work.add_given("Main class", main_class.as_ref());
            for (name, id) in files {
                work.add(name, format!("upload {id}"));
            }
            for (number, argument) in (1..).zip(given) {
                arguments.add(&number.to_string(), argument);
            }
        }
    }
    let mut resources = Group::new("Resources");
    resources.add_given("Executors", request.executors);
    resources.add_given("Cores of each executor", request.cores);
    resources.add_given("Memory of each executor", request.memory.as_ref());
    resources.add("Retries", request.retries);
    let mut conf = Group::new("Spark");
    for (key, value) in &request.conf {
        conf.add(key, value);
    }
    let data = request.work.data().map(data);
    let groups = [Some(work), Some(arguments), data, Some(resources), Some(conf)];
    groups.into_iter().flatten().filter(|group| !group.rows.is_empty()).collect()
}

fn data(data: &DataSource) -> Group {
    let mut group = Group::new("Data");
    group.add("Path", &data.path);
    group.add("Format", &data.format);
    for (key, value) in &data.options {
        group.add(key, value);
    }
    group.add_given("Partitions", data.partitions);
    group
}

fn values(map: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    map.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::groups;

    #[test]
    fn a_request_is_laid_out_in_groups_without_empty_ones() {
        let request = json!({
            "name": "n", "executors": 2,
            "work": {
                "kind": "trainer", "network": "u1",
                "trainer": {"class": "ADAG", "arguments": {"batch_size": 32, "loss": "mse"}},
                "data": {"path": "file:/srv/data/a", "partitions": 3},
            },
        });
        let groups = groups(&serde_json::from_value(request).expect("a request"));
        let titles: Vec<_> = groups.iter().map(|group| group.title).collect();
        assert_eq!(titles, ["Work", "Arguments", "Data", "Resources"]);
        let expected = [("batch_size", "32"), ("loss", "mse")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(groups[1].rows, expected);
    }
}

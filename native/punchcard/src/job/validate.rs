//! The checks of a request, which are complete before a job is accepted.

use std::collections::BTreeMap;

use super::arguments::{check_params, check_trainer};
use super::invalid::{Invalid, invalid};
use super::{DataSource, JobRequest, Work};
use crate::config::Cluster;

/// The longest name of a job.
const NAME: usize = 200;
/// The longest text of an argument, a path or a value.
const TEXT: usize = 4096;
/// The largest number of arguments, files or configuration keys.
const ENTRIES: usize = 256;

/// Params whose value is a path.
const PATH_PARAMS: [&str; 1] = ["checkpointDir"];

/// The options of `spark.read` that a request may set: none names a path or a host.
const OPTIONS: [&str; 26] = [
    "comment",
    "dateformat",
    "delimiter",
    "encoding",
    "escape",
    "header",
    "ignoreleadingwhitespace",
    "ignoretrailingwhitespace",
    "inferschema",
    "linesep",
    "locale",
    "maxcolumns",
    "mergeschema",
    "mode",
    "multiline",
    "nanvalue",
    "nullvalue",
    "numfeatures",
    "pathglobfilter",
    "quote",
    "recursivefilelookup",
    "samplingratio",
    "sep",
    "timestampformat",
    "vectortype",
    "emptyvalue",
];

/// Checks a request against its cluster.
///
/// # Errors
/// The first field that does not fit.
pub fn validate(request: &JobRequest, cluster: &Cluster) -> Result<(), Invalid> {
    text("name", &request.name, NAME)?;
    if request.name.trim().is_empty() {
        return invalid("name", "must not be empty");
    }
    let fields = [
        ("executors", request.executors.is_some(), "spark.executor.instances"),
        ("executors", request.executors.is_some(), "spark.cores.max"),
        ("cores", request.cores.is_some(), "spark.executor.cores"),
        ("memory", request.memory.is_some(), "spark.executor.memory"),
    ];
    for (field, given, key) in fields {
        if given && cluster.conf.contains_key(key) {
            return invalid(
                field,
                format!("the cluster sets '{key}' for all jobs; leave the field out"),
            );
        }
    }
    range("executors", request.executors, cluster.max_executors)?;
    range("cores", request.cores, cluster.max_cores)?;
    if let Some(memory) = &request.memory {
        check_memory(memory, cluster.max_memory_mib)?;
    }
    if request.retries > cluster.max_retries {
        let problem = format!("must be at most {}, not {}", cluster.max_retries, request.retries);
        return invalid("retries", problem);
    }
    check_conf(&request.conf, cluster)?;
    check_work(&request.work)?;
    request.work.data().map_or(Ok(()), |data| check_data(data, cluster))
}

/// Rejects control characters and long texts.
fn text(field: &str, value: &str, longest: usize) -> Result<(), Invalid> {
    if value.len() > longest {
        return invalid(
            field,
            format!("is {} bytes long; at most {longest} are allowed", value.len()),
        );
    }
    if value.chars().any(char::is_control) {
        return invalid(field, "contains a control character");
    }
    Ok(())
}

fn range(field: &str, value: Option<u32>, most: u32) -> Result<(), Invalid> {
    match value {
        Some(value) if value == 0 || value > most => {
            invalid(field, format!("must be from 1 to {most}, not {value}"))
        }
        _ => Ok(()),
    }
}

fn check_memory(memory: &str, most: u64) -> Result<(), Invalid> {
    let mib = memory
        .strip_suffix('g')
        .map(|number| (number, 1024))
        .or_else(|| memory.strip_suffix('m').map(|number| (number, 1)))
        .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|(number, unit)| number.parse::<u64>().ok()?.checked_mul(unit));
    match mib {
        Some(mib) if (1..=most).contains(&mib) => Ok(()),
        _ => invalid(
            "memory",
            format!("must be a size such as '2g' or '512m', at most {most}m, not '{memory}'"),
        ),
    }
}

fn check_conf(conf: &BTreeMap<String, String>, cluster: &Cluster) -> Result<(), Invalid> {
    for (key, value) in conf {
        if !cluster.allowed_conf.contains(key) {
            let keys: Vec<_> = cluster.allowed_conf.iter().map(String::as_str).collect();
            let allowed = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
            return invalid(
                "conf",
                format!("'{key}' may not be set; the cluster allows: {allowed}"),
            );
        }
        text(&format!("conf.{key}"), value, TEXT)?;
    }
    Ok(())
}

fn check_work(work: &Work) -> Result<(), Invalid> {
    match work {
        Work::Trainer { trainer, .. } => check_trainer(trainer),
        Work::Estimator { estimator, params, .. } => {
            check_params(estimator, params)?;
            match PATH_PARAMS.into_iter().find(|name| params.contains_key(*name)) {
                Some(name) => invalid(
                    &format!("work.params.{name}"),
                    "is a path, which a request may not give; leave it out",
                ),
                None => Ok(()),
            }
        }
        Work::Program { main_class, arguments, files, .. } => {
            check_program(main_class.as_deref(), arguments, files)
        }
    }
}

fn check_program(
    main_class: Option<&str>,
    arguments: &[String],
    files: &BTreeMap<String, String>,
) -> Result<(), Invalid> {
    if let Some(class) = main_class {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._$".contains(&byte);
        if class.is_empty() || class.len() > NAME || !class.bytes().all(allowed) {
            return invalid("work.main_class", format!("'{class}' is not the name of a class"));
        }
    }
    if arguments.len() > ENTRIES || files.len() > ENTRIES {
        return invalid("work", format!("at most {ENTRIES} arguments and files are allowed"));
    }
    for argument in arguments {
        // Line breaks are fine in an argument; the end of a C string is not.
        if argument.len() > TEXT || argument.contains('\0') {
            return invalid(
                "work.arguments",
                format!("must have no NUL and at most {TEXT} bytes each"),
            );
        }
    }
    for name in files.keys() {
        if !is_file_name(name) {
            let problem = format!(
                "'{name}' must be a file name of letters, digits, '.', '_' and '-', not beginning with '.' or '-'"
            );
            return invalid("work.files", problem);
        }
    }
    Ok(())
}

/// Returns true for the name of a file that cannot be taken for a path, an option or a hidden file.
fn is_file_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with(['.', '-'])
}

fn check_data(data: &DataSource, cluster: &Cluster) -> Result<(), Invalid> {
    let field = "work.data.path";
    text(field, &data.path, TEXT)?;
    let Some(root) = cluster.data.iter().find(|root| data.path.starts_with(root.as_str())) else {
        let roots =
            if cluster.data.is_empty() { "none".to_owned() } else { cluster.data.join(", ") };
        let remedy = in_a_root(&data.path, &cluster.data)
            .map_or_else(String::new, |path| format!("; write '{path}'"));
        let problem =
            format!("'{}' is in no folder that the cluster allows: {roots}{remedy}", data.path);
        return invalid(field, problem);
    };
    // Hadoop expands braces, decodes per cent signs and takes what is before a colon as a scheme after this check.
    let forbidden = ["..", "{", "}", "\\", "%", ":", "/./", "//"];
    let below = &data.path[root.len()..];
    let absolute = below.starts_with('/').then_some("//");
    if let Some(part) = absolute.or_else(|| forbidden.into_iter().find(|part| below.contains(part)))
    {
        return invalid(field, format!("'{}' contains '{part}', which is not allowed", data.path));
    }
    if !cluster.formats.contains(&data.format) {
        let formats: Vec<_> = cluster.formats.iter().map(String::as_str).collect();
        let problem = format!("must be one of {}, not '{}'", formats.join(", "), data.format);
        return invalid("work.data.format", problem);
    }
    for (key, value) in &data.options {
        if !OPTIONS.contains(&key.to_ascii_lowercase().as_str()) {
            return invalid("work.data.options", format!("'{key}' may not be set"));
        }
        if value.len() > TEXT || value.contains('\0') {
            return invalid("work.data.options", format!("the value of '{key}' is too long"));
        }
    }
    range("work.data.partitions", data.partitions, 100_000)
}

/// Returns a local path as one of the roots writes it, if it is in one of them.
fn in_a_root(path: &str, roots: &[String]) -> Option<String> {
    let local = local_path(path).filter(|path| !path.contains(".."))?;
    roots.iter().find_map(|root| {
        let below = local.strip_prefix(&local_path(root)?)?;
        Some(format!("{root}{below}"))
    })
}

/// Returns the path of a local file: `/a` of `/a`, `file:/a`, and `file:///a`.
pub(crate) fn local_path(path: &str) -> Option<String> {
    let path =
        path.strip_prefix("file:").map_or(path, |path| path.strip_prefix("//").unwrap_or(path));
    path.starts_with('/').then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::check_data;
    use crate::config::Cluster;
    use crate::job::DataSource;

    fn cluster() -> Cluster {
        toml::from_str(
            "master = 'local'\nspark_submit = '/submit'\ndata = ['file:/srv/data/', 'hdfs://host:8020/data/']",
        )
        .expect("a cluster")
    }

    fn field(path: &str) -> Option<String> {
        let data = serde_json::from_value(serde_json::json!({ "path": path }));
        let data: DataSource = data.expect("a source");
        check_data(&data, &cluster()).err().map(|error| error.field)
    }

    #[test]
    fn a_path_in_another_form_than_its_folder_gets_the_form_to_write() {
        for path in ["/srv/data/a.csv", "file:///srv/data/a.csv"] {
            let data = serde_json::from_value(serde_json::json!({ "path": path }));
            let error = check_data(&data.expect("a source"), &cluster()).expect_err(path);
            let end =
                "allows: file:/srv/data/, hdfs://host:8020/data/; write 'file:/srv/data/a.csv'";
            assert!(error.problem.ends_with(end), "{error}");
        }
        for path in ["/srv/other/a.csv", "/srv/data/../a", "hdfs:///data/a"] {
            let data = serde_json::from_value(serde_json::json!({ "path": path }));
            let error = check_data(&data.expect("a source"), &cluster()).expect_err(path);
            assert!(error.problem.ends_with("/data/"), "{error}");
        }
    }

    #[test]
    fn data_is_read_from_the_folders_of_the_cluster_only() {
        for path in
            ["file:/srv/data/a.parquet", "file:/srv/data/", "hdfs://host:8020/data/a/b*.csv"]
        {
            assert_eq!(field(path), None, "{path}");
        }
        for path in [
            "file:/srv/data/../../tmp/a://etc/shadow",
            "file:/srv/data/a://etc/shadow",
            "file:/srv/data/..",
            "file:/srv/data/a/../../b",
            "file:/srv/data/{a,../b}",
            "file:/srv/data/%2e%2e/b",
            "file:/srv/data/..\\b",
            "file:/srv/data//etc",
            "file:/srv/database/a",
            "/srv/data/a",
            "hdfs://other:8020/data/a",
            "hdfs://host:8020/data/a,file:/etc/shadow",
            "file:/srv/data/a\0b",
            "",
        ] {
            assert_eq!(field(path).as_deref(), Some("work.data.path"), "{path}");
        }
    }
}

//! The address of a cluster's master.

/// The kind of a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Master {
    /// Threads of the driver, or executors beside it.
    Local,
    /// A standalone cluster.
    Standalone,
    /// YARN.
    Yarn,
    /// Kubernetes.
    Kubernetes,
}

/// The forms that Spark accepts.
const FORMS: &str = "local, local[N], local[*], spark://HOST:PORT, yarn or k8s://https://HOST:PORT";

impl Master {
    /// Reads a master as `spark-submit` does.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let kind = if text == "yarn" {
            Some(Self::Yarn)
        } else if let Some(rest) = text.strip_prefix("spark://") {
            rest.split(',').all(has_port).then_some(Self::Standalone)
        } else if let Some(rest) = text.strip_prefix("k8s://") {
            let url = rest.strip_prefix("https://").or_else(|| rest.strip_prefix("http://"));
            let host = url.unwrap_or(rest);
            (!host.is_empty() && !host.starts_with('/')).then_some(Self::Kubernetes)
        } else {
            is_local(text).then_some(Self::Local)
        };
        kind.ok_or_else(|| format!("must be {FORMS}, not '{text}'"))
    }

    pub(super) fn is_local(self) -> bool {
        self == Self::Local
    }
}

fn has_port(address: &str) -> bool {
    let host = address.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    host.is_some_and(|(host, _)| !host.is_empty())
}

/// Returns true for `local`, `local[N]`, `local[N, FAILURES]` and `local-cluster[N, CORES, MEMORY]`.
fn is_local(text: &str) -> bool {
    if text == "local" {
        return true;
    }
    let numbers = |start: &str| {
        let list = text.strip_prefix(start)?.strip_suffix(']')?;
        Some(list.split(',').map(str::trim).collect::<Vec<_>>())
    };
    let is_number = |text: &&str| text.parse::<u32>().is_ok_and(|number| number > 0);
    match (numbers("local["), numbers("local-cluster[")) {
        (Some(list), _) => {
            let [threads, failures @ ..] = &*list else { return false };
            (*threads == "*" || is_number(threads))
                && failures.len() <= 1
                && failures.iter().all(is_number)
        }
        (_, Some(list)) => list.len() == 3 && list.iter().all(is_number),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Master;

    #[test]
    fn a_master_has_one_of_the_forms_that_spark_accepts() {
        for (text, kind) in [
            ("local", Master::Local),
            ("local[4]", Master::Local),
            ("local[*]", Master::Local),
            ("local[2, 3]", Master::Local),
            ("local-cluster[2,1,1024]", Master::Local),
            ("spark://host:7077", Master::Standalone),
            ("spark://a:7077,b:7077", Master::Standalone),
            ("yarn", Master::Yarn),
            ("k8s://https://host:6443", Master::Kubernetes),
            ("k8s://host", Master::Kubernetes),
        ] {
            assert_eq!(Master::parse(text), Ok(kind), "{text}");
        }
        for text in [
            "",
            "local[two]",
            "local[0]",
            "local[]",
            "local[2",
            "local[1,2,3]",
            "localhost",
            "spark://host",
            "spark://:7077",
            "spark://a:7077,b",
            "yarn-client",
            "k8s://",
            "mesos://host:5050",
        ] {
            let problem = Master::parse(text).expect_err(text);
            assert!(problem.ends_with(&format!("not '{text}'")), "{problem}");
        }
    }
}

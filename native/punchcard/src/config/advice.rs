//! Errors of the configuration file, with what to do.

use std::io;

/// The beginnings of TOML's errors, each with its remedy.
const REMEDIES: [(&str, &str); 2] = [
    (
        "invalid type: map, expected a string",
        "put keys with dots in quotes, such as \"spark.driver.memory\" = \"2g\"",
    ),
    (
        "invalid socket address syntax",
        "write an IP address and a port, such as \"127.0.0.1:7438\"; names belong under hosts",
    ),
];

/// Returns the text of an error of the file itself.
pub(super) fn of_file(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return "there is no such file; write it, starting from examples/punchcard/punchcard.toml of Firesteel, or name \
                another one after --config"
            .to_owned();
    }
    error.to_string()
}

/// Returns the text of an error in the file: the place, the problem and its remedy.
pub(super) fn of_toml(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let text = text.trim_end();
    match REMEDIES.iter().find(|(start, _)| error.message().starts_with(start)) {
        Some((_, remedy)) => format!("{text}; {remedy}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::of_toml;
    use crate::config::Config;

    #[test]
    fn an_error_says_what_to_do() {
        let start = "data = 'data'\nfiresteel.python = 'python'\n";
        let cluster = "[clusters.a]\nmaster = 'local'\nspark_submit = 'submit'\n";
        for (text, problem, remedy) in [
            (
                format!("{start}{cluster}[clusters.a.conf]\nspark.driver.memory = '2g'\n"),
                "spark.driver.memory = '2g'",
                "put keys with dots in quotes",
            ),
            (
                format!("listen = 'localhost:7438'\n{start}{cluster}"),
                "invalid socket address",
                "write an IP address",
            ),
        ] {
            let error = of_toml(&toml::from_str::<Config>(&text).expect_err("an error"));
            assert!(error.contains(problem) && error.contains(remedy), "{error}");
        }
    }
}

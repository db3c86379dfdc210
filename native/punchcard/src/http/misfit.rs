//! Serde's texts about values that do not fit, in words of the API.

/// The names of values in Serde's texts, each with that of JSON or of people.
const NAMES: [(&str, &str); 13] = [
    ("a map", "an object"),
    ("map", "an object"),
    ("a sequence", "a list"),
    ("sequence", "a list"),
    ("unit value", "null"),
    ("a boolean", "true or false"),
    ("bool", "true or false"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number from 0 on"),
    ("i64", "a whole number"),
    ("usize", "a whole number from 0 on"),
    ("f64", "a number"),
    ("internally tagged enum Work", "an object with the field 'kind'"),
];

/// Returns the text of an error for the field at which reading failed, without the place in the request's bytes: a
/// client that builds the request never saw them.
pub(super) fn plain(text: &str) -> String {
    let text = without_place(text).replace('`', "'");
    if text.starts_with("missing field '") {
        return "must be given".to_owned();
    }
    if text.starts_with("duplicate field '") {
        return "is given twice".to_owned();
    }
    let problem = ["unknown field ", "unknown variant ", "invalid type: ", "invalid value: "]
        .into_iter()
        .find_map(|start| Some((start, text.strip_prefix(start)?)));
    let Some((start, rest)) = problem else { return text };
    let Some((found, expected)) = rest.rsplit_once(", expected ") else { return text };
    if start == "unknown field " {
        let fields = expected.strip_prefix("one of ").unwrap_or(expected);
        return format!("there is no such field; the fields are {fields}");
    }
    format!("must be {}, not {}", name(expected), value(found))
}

/// Removes the line and the column at the end of a text.
fn without_place(text: &str) -> &str {
    let place = text.rsplit_once(" at line ").filter(|(_, place)| {
        let words: Vec<_> = place.split(' ').collect();
        matches!(words[..], [line, "column", column]
            if [line, column].iter().all(|number| number.bytes().all(|byte| byte.is_ascii_digit())))
    });
    place.map_or(text, |(before, _)| before)
}

/// Returns a value that was found, without the name of its type.
fn value(found: &str) -> &str {
    let types = ["integer ", "floating point ", "boolean ", "string "];
    let value = types.into_iter().find_map(|kind| found.strip_prefix(kind));
    value.map_or_else(|| name(found), |value| value.trim_matches('\''))
}

fn name(value: &str) -> &str {
    if value.starts_with("struct ") {
        return "an object";
    }
    NAMES.iter().find(|(serde, _)| *serde == value).map_or(value, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_text_has_the_words_of_json_and_no_place() {
        for (text, expected) in [
            ("missing field `kind` at line 1 column 39", "must be given"),
            ("duplicate field `name` at line 1 column 9", "is given twice"),
            (
                "invalid type: integer `4`, expected a string at line 1 column 22",
                "must be a string, not 4",
            ),
            (
                "invalid type: string \"two\", expected u32 at line 12 column 27",
                "must be a whole number from 0 to 4294967295, not \"two\"",
            ),
            ("invalid type: sequence, expected struct DataSource", "must be an object, not a list"),
            ("invalid type: null, expected a map", "must be an object, not null"),
            (
                "unknown variant `shell`, expected one of `trainer`, `program`",
                "must be one of 'trainer', 'program', not 'shell'",
            ),
            (
                "unknown field `a`, expected one of `name`, `work`",
                "there is no such field; the fields are 'name', 'work'",
            ),
            ("there is no state 'at line 1'", "there is no state 'at line 1'"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }
}

//! Replays a document of events with the real store and the real worker rules: `replay FILE.json`, or `-` for standard
//! input. Prints one JSON object a line for each event; an event that is not possible ends it with exit status 2.

use std::io::{self, BufWriter, Read, Write};
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(file), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: replay FILE.json (or - for standard input)");
        return ExitCode::from(2);
    };
    let read = if file == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(&file)
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let done = read
        .map_err(|error| format!("{}: {error}", file.display()))
        .and_then(|json| {
            firesteel_replay::replay(&json, &mut out).map_err(|error| error.to_string())
        })
        .and_then(|()| out.flush().map_err(|error| error.to_string()));
    // The lines before an error are part of the output.
    let _flushed = out.flush();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("replay: {problem}");
            ExitCode::from(2)
        }
    }
}

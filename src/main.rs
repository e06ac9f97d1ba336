//! The `kafkascope` program: parses, runs, and ends with a code that says how it went.

use std::process::ExitCode;

use kafkascope::cli;

fn main() -> ExitCode {
    cli::run(cli::parse().into_command()).into()
}

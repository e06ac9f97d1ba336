//! `kafkascope completions` and `kafkascope man`: files for packages, made from the command line itself.

use std::io;

use clap::CommandFactory;

use super::Cli;

/// Arguments of `completions`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell to complete for.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// The completion script of a shell.
pub fn completions(args: CompletionsArgs) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kafkascope", &mut script);
    script
}

/// The man page, in roff.
///
/// # Errors
/// Never in practice: it is written to memory.
pub fn man() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(page)
}

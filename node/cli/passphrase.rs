//! Passphrases: from the terminal, or from a file that an option names; never from an argument, where every
//! process on the machine can read them.

use super::{CliError, given};
use clap::Args;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Where the passphrase comes from.
#[derive(Debug, Clone, Args)]
pub(crate) struct Passphrase {
    /// File whose first line is the passphrase; asked at the terminal when absent.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// A passphrase that opens nothing.
pub(crate) fn wrong(whose: &str) -> CliError {
    CliError::user(format!("the keys of {whose} do not open with this passphrase"))
        .hint("try again, letter by letter: nobody can reset a passphrase")
}

/// Characters below which a new passphrase is refused.
const PASSPHRASE_CHARS_MIN: usize = 8;

impl Passphrase {
    /// The passphrase of an existing key.
    pub(crate) fn ask(&self, whose: &str) -> Result<Zeroizing<String>, CliError> {
        self.obtain(&format!("Passphrase of {whose}: "))
    }

    /// A passphrase for a new key; at the terminal it is asked twice.
    pub(crate) fn choose(&self, whose: &str) -> Result<Zeroizing<String>, CliError> {
        let first = self.obtain(&format!("New passphrase for {whose}: "))?;
        if first.chars().count() < PASSPHRASE_CHARS_MIN {
            return Err(CliError::user(format!("a passphrase has at least {PASSPHRASE_CHARS_MIN} characters"))
                .hint("several words are easier to remember than a few signs, and harder to guess"));
        }
        if self.passphrase_file.is_none() && *self.obtain("Once more: ")? != *first {
            return Err(CliError::user("the two passphrases differ").hint("run the command again"));
        }
        Ok(first)
    }

    fn obtain(&self, prompt: &str) -> Result<Zeroizing<String>, CliError> {
        let Some(path) = &self.passphrase_file else {
            return rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
                CliError::user(format!("no passphrase could be asked: {error}"))
                    .hint("name a file that holds it with --passphrase-file FILE")
            });
        };
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(given(path))?);
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() {
            return Err(CliError::user(format!("{}: the first line is empty", path.display()))
                .hint("the passphrase is the file's first line"));
        }
        Ok(Zeroizing::new(line.to_owned()))
    }
}

//! What people see: tables on a terminal, JSON with stable keys for programs, progress that suits either.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::{
    fmt,
    io::{self, IsTerminal, Write},
    process,
};

/// A line on standard output. Who reads it may have seen enough (`radmesh worklist | head`): that ends the command.
pub(super) fn line(text: fmt::Arguments<'_>) {
    let Err(error) = writeln!(io::stdout().lock(), "{text}") else { return };
    if error.kind() == io::ErrorKind::BrokenPipe {
        process::exit(0);
    }
    eprintln!("error: standard output: {error}\nhint: what was asked for is done; see where the output goes");
    process::exit(1);
}

/// Says one line on standard output, as `println!` would.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::print::line(format_args!($($text)*)) };
}
pub(super) use say;

/// Prints one row an item, columns as wide as they need to be; the last column runs free.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) {
    let all = || std::iter::once(heads.iter().map(ToString::to_string).collect()).chain(rows.iter().cloned());
    let wide = |column: usize| all().map(|row: Vec<String>| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(wide).collect();
    for row in all() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{:width$}", shown(cell)));
        say!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// Prints a list or an object for programs.
pub(super) fn json<T: Serialize>(value: &T) {
    say!("{}", serde_json::to_string_pretty(value).expect("our own lists have string keys"));
}

/// Text from a modality or a person without the control characters that would move a terminal's cursor.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Bytes as a person reads them.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}

/// So many things, whose plural takes an s.
pub(super) fn count(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// A share as whole percent, never 100 before it is all.
pub(super) fn percent(done: u64, total: u64) -> String {
    let share = (done.min(total) * 100).checked_div(total);
    share.map_or_else(|| "-".into(), |share| format!("{share}%"))
}

/// Seconds as a person reads them.
pub(crate) fn seconds(count: u64) -> String {
    match count {
        0..120 => format!("{count} s"),
        120..7_200 => format!("{} min", count / 60),
        _ => format!("{} h {:02} min", count / 3600, count / 60 % 60),
    }
}

/// Shows how far long work has come: a bar on a terminal, a line a tenth in a pipe.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    plain: bool,
    what: String,
    unit: Unit,
    tenth: u64,
}

/// What the work is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Bytes.
    Bytes,
    /// Things of this name, in the plural.
    Things(&'static str),
}

impl Progress {
    /// Work of `total` of these.
    pub(super) fn new(what: &str, unit: Unit, total: u64) -> Self {
        let plain = !io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(match unit {
            Unit::Bytes => "{msg} [{bar:30}] {bytes}/{total_bytes} {eta}",
            Unit::Things(_) => "{msg} [{bar:30}] {pos}/{len} {eta}",
        });
        bar.set_style(style.expect("the template is a constant"));
        bar.set_message(what.to_owned());
        Self { bar, plain, what: what.to_owned(), unit, tenth: 0 }
    }

    /// It has come so far.
    pub(super) fn at(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        let tenth = done.checked_mul(10).map_or(0, |d| d / total.max(1));
        if self.plain && tenth > self.tenth {
            match self.unit {
                Unit::Bytes => eprintln!("{}: {} of {}", self.what, bytes(done), bytes(total)),
                Unit::Things(name) => eprintln!("{}: {done} of {total} {name}", self.what),
            }
            self.tenth = tenth;
        }
    }

    /// It is over.
    pub(super) fn done(self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_an_escape_sequence_can_not_move_the_cursor() {
        assert_eq!(shown("Banda\u{1b}[2J"), "Banda\u{fffd}[2J");
    }

    #[test]
    fn an_unfinished_share_is_never_100_percent() {
        assert_eq!(percent(999_999, 1_000_000), "99%");
    }
}

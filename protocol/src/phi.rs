//! `Phi<T>`: what identifies a patient, kept out of every log by its type.
//!
//! It prints `{PHI}` in `Debug` and has no `Display`, in every build, so a stray log line can't leak a name. Who
//! may show it to a person takes it out with [`Phi::reveal`], a word that is easy to look for.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A value that identifies a patient.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Phi<T>(T);

impl<T> Phi<T> {
    /// Marks `value` as identifying.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for a person who may see it or for a file that is sealed.
    pub const fn reveal(&self) -> &T {
        &self.0
    }

    /// The value itself, for a person who may see it or for a file that is sealed.
    pub fn into_revealed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{PHI}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_prints() {
        assert_eq!(format!("{:?}", Phi::new("Banda^Grace")), "{PHI}");
        assert_eq!(format!("{:?}", Some(Phi::new(String::from("x")))), "Some({PHI})");
    }
}

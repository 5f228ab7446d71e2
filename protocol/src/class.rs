//! Class of what travels: the one order in which a slow link is spent.
//!
//! A chest film must not wait behind a CT, and nothing waits behind a report (`protocol/SPEC.md`, Classes).

use serde::{Deserialize, Serialize};
use std::fmt;

/// Lower sorts first and goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// C0: control, events, orders, reports.
    Control,
    /// C1: STAT.
    Stat,
    /// C2: urgent.
    Urgent,
    /// C3: routine.
    Routine,
    /// C4: priors.
    Prior,
}

impl Class {
    /// How many there are.
    pub const COUNT: usize = Self::Prior as usize + 1;

    /// Class of a case's preview parcel: one above its case, never above STAT nor below urgent.
    #[must_use]
    pub const fn of_preview(self) -> Self {
        match self {
            Self::Control | Self::Stat | Self::Urgent => Self::Stat,
            Self::Routine | Self::Prior => Self::Urgent,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Stat => "stat",
            Self::Urgent => "urgent",
            Self::Routine => "routine",
            Self::Prior => "prior",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_goes_one_above_its_case_within_bounds() {
        assert_eq!(Class::Stat.of_preview(), Class::Stat);
        assert_eq!(Class::Urgent.of_preview(), Class::Stat);
        assert_eq!(Class::Prior.of_preview(), Class::Urgent);
    }
}

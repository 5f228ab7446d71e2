//! What a person says of the files they hand in: how urgent they are, and what the question is.
//!
//! A reader sees it before any pixel, and it goes before what a device says; so a word that is misspelt or too long is
//! refused to the person who typed it, and never guessed.

use crate::intake::Refused;
use radmesh_protocol::{class::Class, limits::INDICATION_CHARS_MAX, phi::Phi};

/// What a person says of the Instances they hand in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word {
    /// How urgent.
    pub class: Option<Class>,
    /// The clinical question.
    pub indication: Option<Phi<String>>,
}

impl Word {
    /// From what was typed.
    ///
    /// # Errors
    /// [`SendError`] says what is allowed.
    pub fn parse(priority: Option<&str>, indication: Option<&str>) -> Result<Self, SendError> {
        let class = priority.map(class_of).transpose()?;
        Ok(Self { class, indication: indication.map(question).transpose()? })
    }
}

fn class_of(word: &str) -> Result<Class, SendError> {
    match word {
        "stat" => Ok(Class::Stat),
        "urgent" => Ok(Class::Urgent),
        "routine" => Ok(Class::Routine),
        _ => Err(SendError::Priority { word: word.to_owned() }),
    }
}

fn question(text: &str) -> Result<Phi<String>, SendError> {
    let chars = text.chars().count();
    if chars > INDICATION_CHARS_MAX { Err(SendError::Indication { chars }) } else { Ok(Phi::new(text.to_owned())) }
}

/// A file that was not taken in, in words for the person who handed it in.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The file.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The priority.
    #[error("priority {word:?}: it is stat, urgent or routine")]
    Priority {
        /// As given.
        word: String,
    },
    /// The clinical question.
    #[error("the indication has {chars} characters; at most {INDICATION_CHARS_MAX} are allowed")]
    Indication {
        /// As given.
        chars: usize,
    },
}

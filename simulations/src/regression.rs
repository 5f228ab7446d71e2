//! Runs that once failed: a scenario and its seed in a file, named after what a patient would have lost.
//!
//! They lie in `simulations/regressions/` and are run before anything else, for ever.

use crate::scenario::{Scenario, ScenarioError};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// What was wrong, in a sentence.
    pub was: String,
    /// The seed that showed it.
    pub seed: u64,
    /// In this scenario.
    pub scenario: Scenario,
}

/// Where they lie.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions")
}

/// Every one, in the order of their names.
///
/// # Errors
/// The folder can't be read, or a file of it does not fit.
pub fn regressions() -> Result<Vec<(String, Regression)>, ScenarioError> {
    let mut paths = fs::read_dir(folder())?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// One of a file, with its name.
///
/// # Errors
/// It can't be read, or does not fit.
pub fn read(path: &Path) -> Result<(String, Regression), ScenarioError> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let regression: Regression = toml::from_str(&fs::read_to_string(path)?)?;
    Ok((name, Regression { scenario: regression.scenario.checked()?, ..regression }))
}

/// Writes one, under a name that says the rule and the seed, for a person to give it a better one.
///
/// # Errors
/// As the medium fails; there may be one of that name already.
pub fn write(regression: &Regression) -> io::Result<PathBuf> {
    let path = folder().join(format!("new_{}_{}.toml", regression.scenario.name, regression.seed));
    let text = toml::to_string(regression).map_err(io::Error::other)?;
    let mut file = fs::File::create_new(&path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(path)
}

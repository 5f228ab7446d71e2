//! `radmesh codec-worker`: the child in which a node codes and decodes. Nobody types it.

use super::CliError;
use radmesh_worker::{Place, Workers, child};
use std::{
    fs::File,
    io::{self, IsTerminal},
    os::fd::AsFd,
    path::PathBuf,
    sync::Arc,
};

/// The name of the command.
const NAME: &str = "codec-worker";
/// This very program, even where an upgrade has put another one in its place.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Children of this program.
pub(super) fn workers() -> Arc<Workers> {
    let place = Place::Child { program: PathBuf::from(THIS_PROGRAM), arguments: vec![NAME.into()] };
    Arc::new(Workers::new(place))
}

pub(super) fn run() -> Result<(), CliError> {
    if io::stdin().is_terminal() {
        return Err(CliError::user("this command is for the node alone: it codes for whoever started it")
            .hint("`radmesh codec encode` codes files"));
    }
    // Standard output itself looks for lines in what is written.
    let to = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    to.and_then(|to| child::run(io::stdin(), to))
        .map_err(|error| CliError::internal(format!("the coder's child: {error}")))
}

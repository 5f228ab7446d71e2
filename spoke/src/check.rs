//! Staged Instances read back, for `radmesh verify`: until they are sealed and away, nobody else has them.
//!
//! One that no longer opens is missed from then on, as it would be when it is packed: a person can have it sent again
//! while the modality still has it, which it may not tomorrow.

use crate::{
    ledger::Ledger,
    sealed_file,
    staging::{FileKey, Staged, StagingId},
};
use radmesh_protocol::id::CaseId;
use radmesh_store::WriteError;
use std::io;

/// What a look at every staged Instance found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StagedCheck {
    /// Instances that read back as they were received.
    pub whole: usize,
    /// The case of each that does not: it must be sent again.
    pub lost: Vec<CaseId>,
}

/// Reads every one.
pub(crate) fn staged(ledger: &Ledger) -> Result<StagedCheck, WriteError> {
    let all = ledger.each_case(|case| {
        let of = |(file, staged): (&StagingId, &Staged)| (case.id, *file, staged.instance.key.clone());
        case.staged.iter().map(of).collect::<Vec<_>>()
    });
    let mut found = StagedCheck::default();
    for (case, file, key) in all.into_iter().flatten() {
        if reads_back(ledger, file, &key).is_ok() {
            found.whole += 1;
            continue;
        }
        // Sealed and compared meanwhile, it may be deleted.
        let is_needed = ledger.with_case(&case, |case| case.staged.contains_key(&file) && !case.is_sealed(&file));
        if is_needed == Some(true) && reads_back(ledger, file, &key).is_err() {
            tracing::error!(?case, ?file, "a staged Instance is damaged on disk; it must be sent again");
            ledger.lost(&case, file)?;
            found.lost.push(case);
        }
    }
    Ok(found)
}

fn reads_back(ledger: &Ledger, file: StagingId, key: &FileKey) -> io::Result<()> {
    let mut reading = sealed_file::open(&ledger.rooms.store, file, key)?;
    io::copy(&mut reading, &mut io::sink()).map(drop)
}

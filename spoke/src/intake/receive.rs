//! Receiving one Instance: bytes in, a durable [`ReceivedInstance`] out, or a refusal that leaves nothing behind.
//!
//! The bytes go through hashing and sealing into a staging file as they come; then they are read back from there, and
//! the scanner judges what is on the disk, not what was in memory. So a disk that lies is found before the modality
//! frees its copy. Rules: `protocol/SPEC.md`, Received bytes.

use crate::{
    allowance::OverAllowance,
    chance::Chance,
    quarantine::QuarantineFull,
    sealed_file::{self, Writing},
    staging::{FileKey, ReceivedInstance, Sayings, Sender, StagingId, Wholeness},
};
use radmesh_codec::{
    scan::{Form, Scan, ScanError, scan},
    uid::{SopClassUid, SopInstanceUid, TransferSyntax},
};
use radmesh_protocol::{id::Hash, parcel::contents::ReceivedForm, phi::Phi, record::Importance, time::Wall};
use radmesh_store::{Store, WriteError};
use std::io::{self, Read};

/// Bytes of one Instance at most (`radmesh_codec::limits`).
pub const INSTANCE_BYTES_MAX: u64 = radmesh_codec::limits::INSTANCE_BYTES_MAX;

/// What the sender says the bytes are.
#[derive(Debug, Clone)]
pub enum Declared {
    /// A file, with or without preamble and meta, handed in by a person.
    File,
    /// The data set of a C-STORE.
    Association {
        /// Affected SOP Class UID of the command.
        sop_class: SopClassUid,
        /// Affected SOP Instance UID of the command.
        sop_instance: SopInstanceUid,
        /// Of the presentation context.
        transfer_syntax: TransferSyntax,
        /// Who it calls itself.
        calling_ae: String,
        /// Whom it asked for.
        called_ae: String,
    },
}

/// Why an Instance is refused. Holds no value of the data set, so it may be logged.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Not an Instance that can be filed under a Study, or one with a false length.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The data set's UIDs are not the command's.
    #[error("the data set's {what} is not the one the C-STORE command names")]
    DoesNotMatch {
        /// Which.
        what: &'static str,
    },
    /// More bytes than one Instance may have.
    #[error("more than {INSTANCE_BYTES_MAX} bytes")]
    TooLarge,
    /// What was read back is not what was written.
    #[error("the disk gave back other bytes than were written")]
    ReadBack,
    /// Unknown senders hold as much as they may.
    #[error(transparent)]
    QuarantineFull(#[from] QuarantineFull),
    /// Its sender has stored as much in a day as it may.
    #[error(transparent)]
    OverAllowance(#[from] OverAllowance),
    /// The disk is full or failed.
    #[error(transparent)]
    Disk(#[from] WriteError),
    /// The file being handed in could not be read.
    #[error("reading it: {0}")]
    Input(io::Error),
}

/// An Instance that is coming in. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Receiving {
    writing: Writing,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Receiving {
    pub(crate) fn begin(store: &Store, importance: Importance, chance: &Chance) -> Result<Self, Refused> {
        let writing = Writing::begin(store, importance, &mut chance.clone())?;
        Ok(Self { writing, hasher: blake3::Hasher::new(), bytes: 0 })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.bytes += bytes.len() as u64;
        if self.bytes > INSTANCE_BYTES_MAX {
            return Err(Refused::TooLarge);
        }
        self.hasher.update(bytes);
        Ok(self.writing.write(bytes)?)
    }

    /// Puts it on disk, reads it back and says what it is. The file stays only if this succeeds.
    pub(crate) fn finish(
        self,
        store: &Store,
        declared: &Declared,
        sender: Sender,
        at: Wall,
    ) -> Result<ReceivedInstance, Refused> {
        let (file, key) = self.writing.finish()?;
        let received = Hash(*self.hasher.finalize().as_bytes());
        let judged = judge(store, file, key, self.bytes, received, declared, sender, at);
        if judged.is_err() {
            // One that can't be removed now is removed at the next start: no record names it.
            let _ = sealed_file::remove(store, file);
        }
        judged
    }
}

#[expect(clippy::too_many_arguments, reason = "the facts of one Instance, gathered at one place and used once")]
fn judge(
    store: &Store,
    file: StagingId,
    key: FileKey,
    bytes: u64,
    received: Hash,
    declared: &Declared,
    sender: Sender,
    at: Wall,
) -> Result<ReceivedInstance, Refused> {
    let open = || sealed_file::open(store, file, &key).map_err(|_| Refused::ReadBack);
    let form = match declared {
        Declared::File => Form::File,
        Declared::Association { transfer_syntax, .. } => Form::DataSet { transfer_syntax: transfer_syntax.clone() },
    };
    let mut back = Hashing { inner: open()?, hasher: blake3::Hasher::new() };
    let scan = scan(&mut back, form).map_err(|error| match error {
        ScanError::Read(_) => Refused::ReadBack,
        other => Refused::Scan(other),
    })?;
    io::copy(&mut back, &mut io::sink()).map_err(|_| Refused::ReadBack)?;
    if back.hasher.finalize() != blake3::Hash::from_bytes(received.0) {
        return Err(Refused::ReadBack);
    }
    let (declared_class, form) = match declared {
        Declared::File => (None, ReceivedForm::File),
        Declared::Association { sop_class, sop_instance, calling_ae, called_ae, .. } => {
            if *sop_instance != scan.sop_instance {
                return Err(Refused::DoesNotMatch { what: "SOP Instance UID" });
            }
            if scan.sop_class.as_ref().is_some_and(|found| found != sop_class) {
                return Err(Refused::DoesNotMatch { what: "SOP Class UID" });
            }
            let form = ReceivedForm::DataSet { calling_ae: calling_ae.clone(), called_ae: called_ae.clone() };
            (Some(sop_class), form)
        }
    };
    let content = content_hash(open()?, &scan).map_err(|_| Refused::ReadBack)?;
    let text = |uid: &str| Phi::new(uid.to_owned());
    Ok(ReceivedInstance {
        file,
        bytes,
        received,
        content,
        form,
        study: text(scan.study.as_str()),
        series: text(scan.series.as_ref().map_or("", |uid| uid.as_str())),
        sop_instance: text(scan.sop_instance.as_str()),
        // A data set without (0008,0016) is what its command says it is: the file meta written from it needs a class.
        sop_class: scan.sop_class.as_ref().or(declared_class).map_or("", |uid| uid.as_str()).to_owned(),
        transfer_syntax: scan.origin.transfer_syntax.as_str().to_owned(),
        sayings: Sayings::of(&scan.facts),
        wholeness: if scan.is_whole() { Wholeness::Whole } else { Wholeness::Damaged },
        sender,
        at,
        key,
    })
}

/// BLAKE3 of transfer syntax, a zero byte and data set: the same whether it came as a file or by C-STORE.
fn content_hash(mut file: impl Read, scan: &Scan) -> io::Result<Hash> {
    io::copy(&mut (&mut file).take(scan.origin.data_set), &mut io::sink())?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(scan.origin.transfer_syntax.as_str().as_bytes()).update(&[0]);
    hasher.update_reader(file)?;
    Ok(Hash(*hasher.finalize().as_bytes()))
}

/// Hashes what passes.
struct Hashing<R> {
    inner: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hasher.update(&into[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use radmesh_protocol::envelope::at_rest::AtRestKey;
    use radmesh_store::Memory;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
    use std::sync::Arc;

    #[test]
    fn a_file_that_opens_and_holds_other_bytes_than_were_received_is_refused_and_removed() {
        let (store, _) = Store::open(Arc::new(Memory::new()), &AtRestKey::from_bytes(&[9; 32])).unwrap();
        let film = include_bytes!("../../../tests/data/pydicom/CT_small.dcm");
        let mut receiving =
            Receiving::begin(&store, Importance::Bulk, &Chance::new(ChaCha20Rng::seed_from_u64(1))).unwrap();
        receiving.write(film).unwrap();
        // Came, and was not sealed.
        receiving.hasher.update(b"one byte more");
        let refused = receiving.finish(&store, &Declared::File, Sender::Hand, Wall(1));
        assert!(matches!(refused, Err(Refused::ReadBack)), "{refused:?}");
        assert_eq!(store.staged().unwrap(), []);
    }
}

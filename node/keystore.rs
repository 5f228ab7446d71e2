//! The node's own keys on disk.
//!
//! A spoke must start by itself after a power cut, so what it needs to receive and send is in a file that only its
//! owner can read. What opens patients' images is not: a hub's reading keys are under a passphrase, and stay locked
//! until `radmesh unlock` (`protocol/SPEC.md`, Keys).

use crate::{
    chance,
    cli::{CliError, at, wrong},
    durable::write_private,
};
use radmesh_protocol::{
    envelope::{at_rest::AtRestKey, passphrase::LockedSecret, reading::ReadingKey, sign::SigningKey},
    id::{Incarnation, hex, unhex},
};
use rand_core::Rng;
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const NODE_FILE: &str = "node.key";
const READING_FILE: &str = "reading.locked";

/// What the node needs to run, without a person.
#[derive(Debug)]
pub(crate) struct Keystore {
    /// Signs events, manifests and receipts; the transport's identity too.
    pub(crate) signing: SigningKey,
    /// The 32 bytes behind `signing`, for the transport.
    pub(crate) signing_seed: Zeroizing<[u8; 32]>,
    /// What is sealed to this node itself: reports to a spoke. A hub's is under its passphrase instead.
    pub(crate) reading: Option<ReadingKey>,
    /// Everything private in the store.
    pub(crate) at_rest: AtRestKey,
    /// Of this life of the node.
    pub(crate) incarnation: Incarnation,
}

/// A hub's reading keys, once unlocked.
pub(crate) struct ReadingKeys {
    /// What is wrapped to this hub: later epochs of its pools.
    pub(crate) hub: ReadingKey,
    /// Epoch 0 of the pool this hub may be made key maker of.
    pub(crate) epoch_0: ReadingKey,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct NodeFile {
    signing: String,
    reading: Option<String>,
    at_rest: String,
    incarnation: String,
}

impl Keystore {
    /// Makes a node's keys; `reading_passphrase` is a hub's, and locks its reading keys.
    pub(crate) fn create(
        dir: &Path,
        reading_passphrase: Option<&str>,
    ) -> Result<(Self, Option<ReadingKeys>), CliError> {
        let locked = reading_passphrase.map(|passphrase| lock_reading(dir, passphrase)).transpose()?;
        let mut incarnation = [0; 8];
        chance::os().fill_bytes(&mut incarnation);
        let file = NodeFile {
            signing: hex(&*chance::seed()),
            reading: reading_passphrase.is_none().then(|| hex(&*chance::seed())),
            at_rest: hex(&*chance::seed()),
            incarnation: hex(&incarnation),
        };
        let text = Zeroizing::new(serde_json::to_string_pretty(&file).expect("four strings"));
        write_private(&dir.join(NODE_FILE), text.as_bytes())?;
        Ok((Self::open(dir)?, locked))
    }

    /// Reads a node's keys.
    pub(crate) fn open(dir: &Path) -> Result<Self, CliError> {
        let path = dir.join(NODE_FILE);
        let text = Zeroizing::new(fs::read_to_string(&path).map_err(at(&path))?);
        let broken = || CliError::configuration(format!("{}: this is no key file of radmesh", path.display()));
        let file: NodeFile = serde_json::from_str(&text).map_err(|_| broken())?;
        let signing_seed = seed(&file.signing).ok_or_else(broken)?;
        let reading = match &file.reading {
            Some(text) => Some(ReadingKey::from_seed(*seed(text).ok_or_else(broken)?)),
            None => None,
        };
        Ok(Self {
            signing: SigningKey::from_seed(*signing_seed),
            signing_seed,
            reading,
            at_rest: AtRestKey::from_bytes(&*seed(&file.at_rest).ok_or_else(broken)?),
            incarnation: file.incarnation.parse().map_err(|_| broken())?,
        })
    }
}

fn lock_reading(dir: &Path, passphrase: &str) -> Result<ReadingKeys, CliError> {
    let mut secret = Zeroizing::new([0; 64]);
    chance::os().fill_bytes(&mut *secret);
    let locked = LockedSecret::lock(&*secret, passphrase, &mut chance::os());
    let text = serde_json::to_vec_pretty(&locked).expect("a locked secret is bytes and numbers");
    write_private(&dir.join(READING_FILE), &text)?;
    Ok(ReadingKeys::of(&secret))
}

impl ReadingKeys {
    /// Opens a hub's reading keys.
    pub(crate) fn unlock(dir: &Path, passphrase: &str) -> Result<Self, CliError> {
        let path = dir.join(READING_FILE);
        let text = fs::read(&path).map_err(at(&path))?;
        let locked: LockedSecret = serde_json::from_slice(&text)
            .map_err(|_| CliError::configuration(format!("{}: this is no locked key of radmesh", path.display())))?;
        let secret = locked.unlock(passphrase).map_err(|_| wrong("this hub"))?;
        let secret: Zeroizing<[u8; 64]> = secret
            .as_slice()
            .try_into()
            .map(Zeroizing::new)
            .map_err(|_| CliError::configuration(format!("{}: it does not hold two keys", path.display())))?;
        Ok(Self::of(&secret))
    }

    fn of(secret: &[u8; 64]) -> Self {
        let half = |from: usize| {
            let mut seed = Zeroizing::new([0; 32]);
            seed.copy_from_slice(&secret[from..from + 32]);
            ReadingKey::from_seed(*seed)
        };
        Self { hub: half(0), epoch_0: half(32) }
    }
}

fn seed(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let bytes = Zeroizing::new(unhex(text)?);
    bytes.as_slice().try_into().ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_hub_starts_without_its_passphrase_but_reads_only_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let (made, keys) = Keystore::create(dir.path(), Some("a long passphrase")).unwrap();
        let opened = Keystore::open(dir.path()).unwrap();
        assert_eq!(opened.signing.node_id(), made.signing.node_id());
        assert!(opened.reading.is_none());
        assert!(ReadingKeys::unlock(dir.path(), "another passphrase").is_err());
        let unlocked = ReadingKeys::unlock(dir.path(), "a long passphrase").unwrap();
        assert_eq!(unlocked.epoch_0.public(), keys.unwrap().epoch_0.public());
        let mode = fs::metadata(dir.path().join(NODE_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }

    #[test]
    fn keys_that_are_there_are_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        Keystore::create(dir.path(), None).unwrap();
        assert!(Keystore::create(dir.path(), None).is_err());
    }
}

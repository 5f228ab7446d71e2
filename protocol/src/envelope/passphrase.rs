//! A secret under a passphrase: Argon2id (RFC 9106), 64 MiB, three passes, one lane.
//!
//! A radiologist's key file and a hub's reading keys lie on disks that get stolen; the cost of one guess is what
//! stands before them. The figures fit a Raspberry Pi and are fixed by the version, never read from the file: a
//! file that asked for 4 TiB would be an attack.

use super::at_rest::AtRestKey;
use argon2::{Algorithm, Argon2, Params, Version};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;
const CONTEXT: &str = "radmesh/1 locked secret";
/// Version of the figures above.
const LAYOUT: u8 = 1;

/// A secret that opens with a passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedSecret {
    layout: u8,
    salt: [u8; 16],
    sealed: Vec<u8>,
}

/// The passphrase is another one, or the file is damaged: which of them can't be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not open with this passphrase")]
pub struct WrongPassphrase;

impl LockedSecret {
    /// Locks `secret`. Takes 64 MiB and about a second on a small computer.
    #[must_use]
    pub fn lock(secret: &[u8], passphrase: &str, rng: &mut impl CryptoRng) -> Self {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        let sealed = stretched(passphrase, &salt).seal(CONTEXT, secret, rng);
        Self { layout: LAYOUT, salt, sealed }
    }

    /// The secret.
    ///
    /// # Errors
    /// [`WrongPassphrase`].
    pub fn unlock(&self, passphrase: &str) -> Result<Zeroizing<Vec<u8>>, WrongPassphrase> {
        if self.layout != LAYOUT {
            return Err(WrongPassphrase);
        }
        stretched(passphrase, &self.salt).open(CONTEXT, &self.sealed).map_err(|_| WrongPassphrase)
    }
}

fn stretched(passphrase: &str, salt: &[u8; 16]) -> AtRestKey {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(32)).expect("RFC 9106 allows these figures");
    let mut key = Zeroizing::new([0; 32]);
    let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
        passphrase.as_bytes(),
        salt,
        &mut *key,
    );
    hashed.expect("a passphrase is shorter than 4 GiB and the salt is 16 bytes");
    AtRestKey::from_bytes(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    #[test]
    fn opens_with_its_passphrase_and_with_no_other() {
        let locked = LockedSecret::lock(b"seed", "correct horse", &mut ChaCha20Rng::seed_from_u64(1));
        assert_eq!(&**locked.unlock("correct horse").unwrap(), b"seed");
        assert_eq!(locked.unlock("correct house"), Err(WrongPassphrase));
        assert_eq!(LockedSecret { layout: 2, ..locked }.unlock("correct horse"), Err(WrongPassphrase));
    }
}

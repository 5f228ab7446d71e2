//! Randomness, as an input: keys, nonces and names of staging files are drawn from what the node gives.
//!
//! Associations, the packer and the clinic draw at once, so it is shared behind a lock that is held for one draw.

use rand_core::{CryptoRng, Infallible, TryCryptoRng, TryRng};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

/// A source of randomness that may be cloned and handed on.
#[derive(Clone)]
pub struct Chance(Arc<Mutex<dyn CryptoRng + Send>>);

impl Chance {
    /// Shares `source`: the operating system's in a node, a seeded one in tests.
    pub fn new(source: impl CryptoRng + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(source)))
    }

    fn source(&self) -> MutexGuard<'_, dyn CryptoRng + Send + 'static> {
        self.0.lock().expect("drawing from a source of randomness does not panic")
    }
}

impl TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.source().try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.source().try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.source().try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for Chance {}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}

//! The only source of chance: the operating system's.
//!
//! Everything below takes randomness as an input, so that a simulation can give it a seed.

/// The operating system's randomness. Blocks at early boot until the kernel's pool is ready; never weak.
pub(crate) fn os() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// 32 fresh bytes for a key.
pub(crate) fn seed() -> zeroize::Zeroizing<[u8; 32]> {
    use rand_core::Rng;
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    os().fill_bytes(&mut *bytes);
    bytes
}

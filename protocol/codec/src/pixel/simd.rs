//! The one place that knows which processor this is.
//!
//! The same Rust is compiled twice, once for any x86-64 and once for those with AVX2, since vectors of eight lanes code
//! twice as fast; both take the same steps in the same order and give the same bits. Rule: `unsafe` stands here only,
//! for a function that is called after the processor was asked, and for a hint that reads nothing.

#![allow(
    unsafe_code,
    reason = "calling a function that needs AVX2 after finding it, and the cache hint, have no safe form"
)]

use super::{
    coder::Coder,
    plane::{Model, Plane},
};

/// Codes one row of a plane.
pub(super) fn row<M: Model, C: Coder>(plane: &mut Plane<M>, coder: &mut C, samples: &mut [u16]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has AVX2.
        return unsafe { row_avx2::<M, C>(plane, coder, samples) };
    }
    plane.row_here::<C>(coder, samples);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn row_avx2<M: Model, C: Coder>(plane: &mut Plane<M>, coder: &mut C, samples: &mut [u16]) {
    plane.row_here::<C>(coder, samples);
}

/// Bytes that come into the cache together.
#[cfg(target_arch = "x86_64")]
const CACHE_LINE: usize = 64;

/// Calls an element of one or two cache lines into the cache; does nothing where it isn't there.
#[inline(always)]
pub(super) fn prefetch<T>(table: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(element) = table.get(index) {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which reads nothing; both addresses are inside the element.
        unsafe {
            let first = std::ptr::from_ref(element).cast::<i8>();
            _mm_prefetch::<_MM_HINT_T0>(first);
            if size_of::<T>() > CACHE_LINE {
                _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(CACHE_LINE));
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (table, index);
}

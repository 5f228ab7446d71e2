//! Samples to fewer bytes and back: the model of a medical picture.
//!
//! On a link of 64 kbit/s the bytes of a CT decide whether a clinic gets its answer today, and most of them are noise
//! that only a good model of its size can code well. Each sample is predicted from its neighbours and the pictures
//! before it by predictors that learn as they go ([`least_squares`], [`bias`]); how far off that is likely to be comes
//! from the errors around it ([`energy`], [`wide`]); what is left is a handful of binary decisions ([`residual`]) whose
//! probabilities a model says and that are coded in as many bits as they are worth ([`coder`]). There are two models,
//! for fewest bytes ([`max`]) and for speed ([`fast`]). What repeats to the sample, air and letters alike, is foreseen
//! ([`seen`]) and skips all that ([`claims`]). Rule: encoder and decoder are one piece of code ([`plane`]), and its
//! arithmetic gives the same bits on every processor ([`float`]). Measured in `docs/codec.md`.

mod bias;
mod claims;
mod coder;
mod counter;
mod energy;
mod fast;
mod float;
mod least_squares;
mod max;
mod neighbours;
mod pictures;
mod plane;
mod ranks;
mod residual;
mod rows;
mod seen;
mod simd;
mod wide;

pub(crate) use pictures::{Area, Band, Chained, Dimensions, Effort, Pictures, Reading, Writing};
pub(crate) use ranks::{Occurring, Ranks};

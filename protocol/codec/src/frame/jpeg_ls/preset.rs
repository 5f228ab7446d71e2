//! Coding parameters of JPEG-LS: those an LSE segment sets, and the defaults for the rest (T.87 C.2.4.1.1).

/// What LSE segments said: largest sample, three thresholds, reset. 0 for the default.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Preset {
    sample_max: u16,
    thresholds: [u16; 3],
    reset: u16,
}

/// What a scan is coded with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters {
    /// MAXVAL: the largest sample.
    pub(super) sample_max: i32,
    /// NEAR: how far off a decoded sample may be; 0 without loss.
    pub(super) near: i32,
    /// RANGE: errors, in steps of 2 NEAR + 1, are taken modulo this.
    pub(super) range: i32,
    /// T1 to T3: where gradients fall into another class.
    pub(super) thresholds: [i32; 3],
    /// RESET: occurrences after which a context's memory is halved.
    pub(super) reset: i32,
    /// Bits of a mapped error that is written out whole.
    pub(super) error_bits: u32,
    /// LIMIT: bits of a code at most.
    pub(super) limit: u32,
}

impl Preset {
    /// Takes an LSE segment. Mapping tables (ids 2 and 3) say what samples mean and not how they are coded; larger
    /// dimensions (id 4) are no frame of ours.
    pub(in super::super) fn read(&mut self, segment: &[u8]) -> Option<()> {
        match segment.first()? {
            1 => {
                let values = segment.get(1..11)?;
                let value = |index: usize| u16::from_be_bytes([values[2 * index], values[2 * index + 1]]);
                *self = Self { sample_max: value(0), thresholds: [value(1), value(2), value(3)], reset: value(4) };
                Some(())
            }
            2 | 3 => Some(()),
            _ => None,
        }
    }

    /// All parameters for samples of `bits` bits. `None` where what was set is out of its range.
    pub(super) fn parameters(&self, bits: u8, near: u8) -> Option<Parameters> {
        let near = i32::from(near);
        let or_default = |set: u16, default: i32| if set == 0 { default } else { i32::from(set) };
        let sample_max = or_default(self.sample_max, (1 << bits) - 1);
        let default = default_thresholds(sample_max, near);
        let thresholds = [0, 1, 2].map(|index| or_default(self.thresholds[index], default[index]));
        let reset = or_default(self.reset, 64);
        let [t1, t2, t3] = thresholds;
        // Thresholds above the largest sample are against the standard; DCMTK writes them when told to, and they code.
        if sample_max >= 1 << bits || near > sample_max / 2 || t1 <= near || t2 < t1 || t3 < t2 || reset < 3 {
            return None;
        }
        let bits_of = |greatest: i32| u32::BITS - (greatest as u32).leading_zeros();
        let range = (sample_max + 2 * near) / (2 * near + 1) + 1;
        let (error_bits, sample_bits) = (bits_of(range - 1), bits_of(sample_max).max(2));
        let limit = 2 * (sample_bits + sample_bits.max(8));
        Some(Parameters { sample_max, near, range, thresholds, reset, error_bits, limit })
    }
}

/// T.87 C.2.4.1.1.1.
fn default_thresholds(sample_max: i32, near: i32) -> [i32; 3] {
    const BASIC: [i32; 3] = [3, 7, 21];
    let clamp = |value: i32, least: i32| if value > sample_max || value < least { least } else { value };
    let widened = |index: usize| (3 + 2 * index as i32) * near;
    let scaled = |index: usize| {
        if sample_max >= 128 {
            let factor = (sample_max.min(4095) + 128) / 256;
            let least = 2 + index as i32;
            factor * (BASIC[index] - least) + least + widened(index)
        } else {
            let factor = 256 / (sample_max + 1);
            (BASIC[index] / factor + widened(index)).max(2 + index as i32)
        }
    };
    let t1 = clamp(scaled(0), near + 1);
    let t2 = clamp(scaled(1), t1);
    [t1, t2, clamp(scaled(2), t2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_standard() {
        assert_eq!(default_thresholds(255, 0), [3, 7, 21]);
        assert_eq!(default_thresholds(4095, 0), [18, 67, 276]);
        assert_eq!(default_thresholds(65535, 0), [18, 67, 276]);
        assert_eq!(default_thresholds(3, 0), [2, 3, 3]);
        assert_eq!(default_thresholds(255, 3), [12, 22, 42]);
        assert_eq!(default_thresholds(4095, 3), [27, 82, 297]);
    }

    #[test]
    fn parameters_out_of_range_are_none() {
        let set = |sample_max, thresholds, reset| Preset { sample_max, thresholds, reset }.parameters(8, 0).is_some();
        assert!(set(0, [0; 3], 0));
        assert!(set(200, [3, 7, 21], 31));
        assert!(!set(256, [0; 3], 0));
        assert!(!set(0, [9, 7, 21], 0));
        assert!(set(0, [0, 0, 300], 0));
        assert!(!set(0, [0, 22, 0], 0));
        assert!(!set(0, [0; 3], 1));
        assert!(Preset::default().parameters(8, 127).is_some());
        assert!(Preset::default().parameters(8, 128).is_none());
    }
}

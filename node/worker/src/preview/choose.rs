//! Which frames of a Study become previews, within the bytes that all of them may take.
//!
//! A radiologist woken at night should see of every Series what it is before a second picture of the first one comes.
//! So the middle of each Series goes first, then first and last while bytes are left. A cine shows what it is in its
//! first frame. The rule: [`STUDY_BYTES_MAX`] a Study, shared evenly among what still waits in a round.

use super::{
    Allowance, Preview,
    limits::{PREVIEWS_MAX, STUDY_BYTES_MAX},
};

/// A Series as the choice sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesFrames {
    /// What its frames follow one another in.
    pub motion: Motion,
    /// Frames of each Instance, in the order of the Series; at least 1 each.
    pub instances: Vec<u32>,
}

/// What the frames of a Series follow one another in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// Through the body: the middle tells most.
    Space,
    /// Through time: the first tells what it is.
    Time,
}

impl Motion {
    /// By (0008,0060) Modality.
    #[must_use]
    pub fn of_modality(modality: &str) -> Self {
        match modality.trim() {
            "US" | "IVUS" | "XA" | "RF" | "ES" | "XC" | "GM" | "SM" | "OP" | "ECG" => Self::Time,
            _ => Self::Space,
        }
    }
}

/// A frame that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// Index of the Series.
    pub series: usize,
    /// Index of the Instance in it.
    pub instance: usize,
    /// Number of the frame in it, from 0.
    pub frame: u32,
}

/// Chosen frames of a Study, round by round: one of each Series first, then more of each.
#[must_use]
pub fn choose(study: &[SeriesFrames]) -> Vec<Vec<Pick>> {
    let picks: Vec<Vec<Pick>> = study.iter().enumerate().map(|(index, series)| of_series(index, series)).collect();
    let first = picks.iter().flat_map(|picks| picks.iter().take(1)).copied().collect();
    let others = picks.iter().flat_map(|picks| picks.iter().skip(1)).copied().collect();
    [first, others].into_iter().filter(|round: &Vec<Pick>| !round.is_empty()).collect()
}

/// Makes the previews of a Study out of what was chosen, in at most `bytes` and never more than [`STUDY_BYTES_MAX`]:
/// `render` is asked for each pick in turn, with what it may take. One that fails takes nothing, and the others go on.
pub fn within_budget(
    rounds: &[Vec<Pick>],
    bytes: u32,
    mut render: impl FnMut(Pick, Allowance) -> Option<Preview>,
) -> Vec<(Pick, Preview)> {
    let mut left = bytes.min(STUDY_BYTES_MAX);
    let mut made = Vec::new();
    for round in rounds {
        let round = &round[..round.len().min(PREVIEWS_MAX)];
        for (index, pick) in round.iter().enumerate() {
            let waiting = u32::try_from(round.len() - index).unwrap_or(u32::MAX);
            let Some(allowance) = Allowance::of_bytes(left / waiting) else { continue };
            if let Some(preview) = render(*pick, allowance) {
                left = left.saturating_sub(preview.image.len() as u32);
                made.push((*pick, preview));
            }
        }
    }
    made
}

/// The picks of one Series, the one that tells most first.
fn of_series(series: usize, frames: &SeriesFrames) -> Vec<Pick> {
    let instances = &frames.instances;
    let whole = |instance: usize, frame: u32| Pick { series, instance, frame };
    let picks = match (frames.motion, instances.as_slice()) {
        (_, []) => Vec::new(),
        (Motion::Time, [cine]) => [0, cine / 3, cine / 3 * 2].map(|frame| whole(0, frame)).to_vec(),
        (Motion::Time, several) => {
            [several.len() / 2, 0, several.len() - 1].map(|instance| whole(instance, 0)).to_vec()
        }
        (Motion::Space, [volume]) => [volume / 2, 0, volume.saturating_sub(1)].map(|frame| whole(0, frame)).to_vec(),
        (Motion::Space, several) => {
            let middle_frame = |instance: usize| whole(instance, several[instance] / 2);
            [several.len() / 2, 0, several.len() - 1].map(middle_frame).to_vec()
        }
    };
    let mut distinct: Vec<Pick> = Vec::new();
    for pick in picks {
        if !distinct.contains(&pick) {
            distinct.push(pick);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(count: usize) -> SeriesFrames {
        SeriesFrames { motion: Motion::Space, instances: vec![1; count] }
    }

    fn of(bytes: usize) -> Preview {
        Preview { image: vec![0; bytes], width: 1, height: 1 }
    }

    #[test]
    fn the_middle_of_every_series_comes_before_the_first_and_last_of_any() {
        let rounds = choose(&[slices(41), slices(1)]);
        let instances = |round: &[Pick]| round.iter().map(|pick| (pick.series, pick.instance)).collect::<Vec<_>>();
        assert_eq!(instances(&rounds[0]), [(0, 20), (1, 0)]);
        assert_eq!(instances(&rounds[1]), [(0, 0), (0, 40)]);
    }

    #[test]
    fn a_cine_shows_its_first_frame_first_and_a_volume_its_middle() {
        let of_frames = |motion, frames| SeriesFrames { motion, instances: vec![frames] };
        let frames = |series| choose(&[series]).concat().iter().map(|pick| pick.frame).collect::<Vec<_>>();
        assert_eq!(frames(of_frames(Motion::Time, 90)), [0, 30, 60]);
        assert_eq!(frames(of_frames(Motion::Space, 90)), [45, 0, 89]);
        assert_eq!(frames(of_frames(Motion::Time, 1)), [0]);
        assert_eq!(frames(of_frames(Motion::Time, u32::MAX)), [0, 1_431_655_765, 2_863_311_530]);
    }

    #[test]
    fn a_study_of_thirty_series_has_one_of_each_and_no_more_than_its_bytes() {
        let study = vec![slices(40); 30];
        let made = within_budget(&choose(&study), u32::MAX, |_, allowance| Some(of(allowance.bytes() as usize)));
        let bytes: usize = made.iter().map(|(_, preview)| preview.image.len()).sum();
        assert!(bytes <= STUDY_BYTES_MAX as usize);
        assert!((0..30).all(|series| made.iter().any(|(pick, _)| pick.series == series)));
        assert!(made.iter().all(|(_, preview)| preview.image.len() > 3000), "an even share each");
    }

    #[test]
    fn what_small_pictures_leave_goes_to_the_first_and_last() {
        let made = within_budget(&choose(&[slices(9), slices(9)]), STUDY_BYTES_MAX, |_, _| Some(of(5000)));
        assert_eq!(made.len(), 6);
    }

    #[test]
    fn a_preview_that_fails_takes_nothing_from_the_others() {
        let study = vec![slices(5); 3];
        let made = within_budget(&choose(&study), STUDY_BYTES_MAX, |pick, allowance| match pick.series {
            1 => None,
            _ => Some(of(allowance.bytes() as usize)),
        });
        assert!(made.iter().all(|(pick, _)| pick.series != 1));
        assert_eq!(made.len(), 4 + 2, "middles of two, then first and last of both");
    }

    #[test]
    fn a_thousand_series_ask_for_no_more_previews_than_can_be_of_use() {
        let mut asked = 0;
        let made = within_budget(&choose(&vec![slices(1); 1000]), STUDY_BYTES_MAX, |_, allowance| {
            asked += 1;
            Some(of(allowance.bytes() as usize))
        });
        assert_eq!((asked, made.len()), (PREVIEWS_MAX, PREVIEWS_MAX));
    }
}

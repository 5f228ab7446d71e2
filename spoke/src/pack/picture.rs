//! Pictures for the preview parcel, made of what is staged, while the pixels wait for the link.
//!
//! A reader at the hub sees what came minutes after the exam, not hours. A picture is a courtesy: whatever goes wrong
//! with one (a syntax that is not decoded, a file that kills the child it is rendered in) leaves it out, and never
//! holds up its case.
//! Which frames, and in how many bytes: `radmesh_worker::preview`.

use super::part::StagedSource;
use crate::staging::{Case, Staged, StagingId, Wholeness};
use radmesh_codec::{
    scan::{Fact, Form},
    uid::TransferSyntax,
};
use radmesh_protocol::{
    parcel::contents::{Picture, ReceivedForm},
    phi::Phi,
};
use radmesh_store::Store;
use radmesh_worker::{
    PreviewFault, Workers,
    preview::{Allowance, Motion, Pick, Preview, SeriesFrames, choose, frames, limits::STUDY_BYTES_MAX, within_budget},
};
use std::collections::{BTreeMap, BTreeSet};

/// Staged Instances of a case from which pictures can be made, Series by Series, and what was shown of them before.
#[derive(Debug)]
pub(crate) struct Sitting {
    series: Vec<(Motion, Vec<Staged>)>,
    shown: BTreeSet<(StagingId, u32)>,
    bytes_left: u32,
}

/// A picture and the frame of a staging file that it shows.
pub(crate) type Taken = ((StagingId, u32), Picture);

impl Sitting {
    pub(crate) fn of(case: &Case) -> Self {
        let mut series: BTreeMap<&str, Vec<&Staged>> = BTreeMap::new();
        for staged in case.staged.values().filter(|staged| staged.instance.wholeness == Wholeness::Whole) {
            series.entry(staged.instance.series_or_self()).or_default().push(staged);
        }
        let in_order = |mut staged: Vec<&Staged>| {
            staged.sort_by_cached_key(|staged| staged.place());
            let modality = staged.first().map_or("", |first| first.instance.sayings.shown(Fact::Modality));
            (Motion::of_modality(modality), staged.into_iter().cloned().collect())
        };
        let shown = case.pictured.frames.clone();
        let bytes_left = STUDY_BYTES_MAX.saturating_sub(case.pictured.bytes);
        Self { series: series.into_values().map(in_order).collect(), shown, bytes_left }
    }

    /// Makes the pictures that were not made before. Takes seconds.
    pub(crate) fn take(&self, store: &Store, workers: &Workers) -> Vec<Taken> {
        let study: Vec<SeriesFrames> = self.series.iter().map(|series| shape(store, series)).collect();
        let staged = |pick: Pick| &self.series[pick.series].1[pick.instance];
        let mut rounds = choose(&study);
        let is_new = |pick: &Pick| !self.shown.contains(&(staged(*pick).instance.file, pick.frame));
        rounds.iter_mut().for_each(|round| round.retain(is_new));
        let made = within_budget(&rounds, self.bytes_left, |pick, allowance| {
            let staged = staged(pick);
            rendered(store, workers, staged, pick.frame, allowance)
                .inspect_err(|why| {
                    tracing::info!(file = ?staged.instance.file, frame = pick.frame, %why, "a frame has no preview");
                })
                .ok()
        });
        made.into_iter()
            .map(|(pick, preview)| {
                let staged = staged(pick);
                ((staged.instance.file, pick.frame), picture(staged, pick.frame, preview))
            })
            .collect()
    }
}

/// Instances of a Series up to which the frames of each are counted: multi-frame objects come few to a Series.
const COUNTED_MAX: usize = 8;

fn shape(store: &Store, (motion, staged): &(Motion, Vec<Staged>)) -> SeriesFrames {
    let counted = |staged: &Staged| {
        let source = StagedSource { store, staged };
        form(staged).and_then(|form| frames(&source, form).ok()).unwrap_or(1)
    };
    let instances =
        if staged.len() <= COUNTED_MAX { staged.iter().map(counted).collect() } else { vec![1; staged.len()] };
    SeriesFrames { motion: *motion, instances }
}

/// The one place where a spoke has pixels decoded.
fn rendered(
    store: &Store,
    workers: &Workers,
    staged: &Staged,
    frame: u32,
    allowance: Allowance,
) -> Result<Preview, PreviewFault> {
    let form = form(staged).ok_or_else(|| PreviewFault::None("its transfer syntax is none".into()))?;
    workers.preview(&StagedSource { store, staged }, form, frame, allowance)
}

fn form(staged: &Staged) -> Option<Form> {
    match staged.instance.form {
        ReceivedForm::File => Some(Form::File),
        ReceivedForm::DataSet { .. } => {
            let transfer_syntax = TransferSyntax::parse(&staged.instance.transfer_syntax).ok()?;
            Some(Form::DataSet { transfer_syntax })
        }
    }
}

fn picture(staged: &Staged, frame: u32, preview: Preview) -> Picture {
    Picture {
        series: Phi::new(staged.instance.series_or_self().to_owned()),
        sop_instance_uid: staged.instance.sop_instance.clone(),
        frame,
        width: preview.width,
        height: preview.height,
        image: Phi::new(preview.image),
    }
}

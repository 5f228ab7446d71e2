//! The previews of a coded file: those that would travel ahead of its Studies.
//!
//! On a slow link they are what a reader sees first, so what they cost belongs to what a hospital is told its images
//! cost. Which frames, and in how many bytes: `radmesh_worker::preview`.

use super::{archive::Picture, encode::Input};
use crate::cli::print;
use radmesh_codec::scan::Form;
use radmesh_worker::{
    Workers,
    preview::{Motion, SeriesFrames, choose, limits::STUDY_BYTES_MAX, within_budget},
};
use std::collections::BTreeMap;

/// The previews of every Study, within the bytes that each may take. A file that can't be shown has none.
pub(super) fn of(workers: &Workers, series: &BTreeMap<String, Vec<Input>>) -> Vec<Picture> {
    let mut studies: BTreeMap<&str, Vec<&Vec<Input>>> = BTreeMap::new();
    for inputs in series.values() {
        studies.entry(&inputs[0].study).or_default().push(inputs);
    }
    let total = studies.len() as u64;
    let mut progress = print::Progress::new("rendering", print::Unit::Things("Studies"), total);
    let mut pictures = Vec::new();
    for (done, study) in (1..).zip(studies.into_values()) {
        pictures.extend(of_study(workers, &study));
        progress.at(done, total);
    }
    progress.done();
    pictures
}

fn of_study(workers: &Workers, study: &[&Vec<Input>]) -> impl Iterator<Item = Picture> {
    let frames = study.iter().map(|inputs| SeriesFrames {
        motion: Motion::of_modality(&inputs[0].modality),
        instances: inputs.iter().map(|input| input.frames).collect(),
    });
    let rounds = choose(&frames.collect::<Vec<_>>());
    let made = within_budget(&rounds, STUDY_BYTES_MAX, |pick, allowance| {
        workers.preview(&study[pick.series][pick.instance], Form::File, pick.frame, allowance).ok()
    });
    made.into_iter().map(|(pick, preview)| Picture {
        name: study[pick.series][pick.instance].name.clone(),
        frame: pick.frame,
        size: (preview.width, preview.height),
        image: preview.image,
    })
}

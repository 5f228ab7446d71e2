//! The demo's images: real ones, compiled in, sent as a modality would send them.
//!
//! From the test files of pydicom (MIT; `tests/data/README.md` names each file's source and licence).

use crate::cli::{CliError, at};
use radmesh_codec::scan::{Form, scan};
use radmesh_dimse::{
    AeTitle,
    client::{self, Config, Outcome, Outgoing},
};
use radmesh_protocol::id::Hash;
use std::{collections::BTreeMap, fs, io, net::SocketAddr, path::Path};

/// AE title of the demo's modality.
pub(super) const AE_TITLE: &str = "DEMO_CT";
/// AE title of the spoke, as `radmesh init` sets it.
const SPOKE_AE_TITLE: &str = "RADMESH";

/// One file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image {
    /// What it is, for people.
    pub(super) what: &'static str,
    /// The whole file.
    pub(super) bytes: &'static [u8],
}

macro_rules! images {
    ($($what:literal $path:literal),* $(,)?) => {
        [$(Image { what: $what, bytes: include_bytes!(concat!("../../../tests/data/", $path)) }),*]
    };
}

const IMAGES: [Image; 5] = images![
    "CT" "pydicom/CT_small.dcm",
    "MR" "pydicom-data/MR-SIEMENS-DICOM-WithOverlays.dcm",
    "CR in JPEG 2000" "pydicom-data/RG1_J2KI.dcm",
    "US multi-frame" "pydicom/examples_ybr_color.dcm",
    "US" "pydicom-data/gdcm-US-ALOKA-16_big.dcm",
];

/// Every image of the demo.
pub(super) fn all() -> Vec<Image> {
    IMAGES.to_vec()
}

/// Studies that the images belong to.
pub(super) fn studies() -> usize {
    let studies =
        IMAGES.iter().filter_map(|image| scan(image.bytes, Form::File).ok()).map(|scan| scan.study.as_str().to_owned());
    studies.collect::<std::collections::BTreeSet<_>>().len()
}

impl Image {
    /// BLAKE3 of the data set, which is what C-STORE carries.
    pub(super) fn data_set_hash(&self) -> Hash {
        hash_of_data_set(self.bytes).expect("the demo's own images were scanned when they were chosen")
    }
}

fn hash_of_data_set(file: &[u8]) -> Option<Hash> {
    let at = usize::try_from(scan(file, Form::File).ok()?.origin.data_set).ok()?;
    Some(Hash::of(file.get(at..)?))
}

/// Adds the data-set hash of every file below `dir`.
pub(super) fn hashes_below(dir: &Path, into: &mut BTreeMap<Hash, ()>) -> Result<(), CliError> {
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let path = entry.map_err(at(dir))?.path();
        if path.is_dir() {
            hashes_below(&path, into)?;
        } else {
            let bytes = fs::read(&path).map_err(at(&path))?;
            into.extend(hash_of_data_set(&bytes).map(|hash| (hash, ())));
        }
    }
    Ok(())
}

fn config() -> Config {
    let title = |text: &str| AeTitle::parse(text).expect("the demo's AE titles are 1 to 16 letters");
    Config::new(title(AE_TITLE), title(SPOKE_AE_TITLE))
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::internal(format!("no runtime: {error}")))
}

/// C-ECHO: is the spoke there?
pub(super) fn echo(spoke: SocketAddr) -> Result<(), CliError> {
    let answered = runtime()?.block_on(client::echo(spoke, &config()));
    answered.map(drop).map_err(|error| CliError::internal(format!("C-ECHO to the spoke: {error}")))
}

/// C-STORE of every image over one association; how many the spoke has on its disk.
pub(super) fn store(spoke: SocketAddr, images: &[Image]) -> Result<usize, CliError> {
    let objects = images.iter().map(outgoing).collect();
    let batch = runtime()?
        .block_on(client::store(spoke, &config(), objects))
        .map_err(|error| CliError::internal(format!("C-STORE to the spoke: {error}")))?;
    let stored = |outcome: &&Outcome| matches!(outcome, Outcome::Answered(status) if status.is_stored());
    let count = batch.outcomes.iter().filter(stored).count();
    if count < images.len() {
        return Err(CliError::internal(format!(
            "the spoke took {count} of {} Instances: {:?}",
            images.len(),
            batch.outcomes
        )));
    }
    Ok(count)
}

fn outgoing(image: &Image) -> Outgoing {
    let known = "the demo's own images were scanned when they were chosen";
    let found = scan(image.bytes, Form::File).expect(known);
    let data_set = image.bytes.get(usize::try_from(found.origin.data_set).expect(known)..).expect(known);
    Outgoing {
        sop_class_uid: found.sop_class.expect(known),
        sop_instance_uid: found.sop_instance,
        transfer_syntax: found.origin.transfer_syntax,
        open: Box::new(move || Ok(Box::new(data_set) as Box<dyn io::Read + Send>)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_of_the_demo_can_be_sent() {
        assert!(all().iter().map(outgoing).count() >= 4);
        assert!(studies() >= 4);
    }
}

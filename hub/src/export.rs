//! Export: a claimed case's DICOM files, for the reader's own viewer.
//!
//! The files are what the modality sent, byte for byte. By default the preamble is zeroed unless it is a TIFF header,
//! so that no file can be two things at once (a DICOM image that is also a program); `--verbatim` leaves the received
//! bytes alone. The audit entry is on disk before the first byte goes out. PS3.10 section 7.1.

use crate::{
    Act, Hub,
    opened::{Filling, Name, Room},
    opening::{ParcelError, decode, groups},
};
use radmesh_protocol::{
    claim::ClaimState,
    id::{CaseId, Hash, ManifestId, PersonId},
    parcel::{
        PartKind,
        contents::{Group, InstanceEntry, ReceivedForm},
        file_meta::file_meta,
        manifest::Manifest,
    },
    time::Wall,
};
use radmesh_store::WriteError;
use radmesh_worker::Workers;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{self, Read, Write},
    rc::Rc,
    sync::Arc,
};

/// The received bytes unchanged, or files made safe to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As received.
    Verbatim,
    /// A DICOM file with a harmless preamble.
    Safe,
}

/// Takes files as they come. Named `SERIES/INSTANCE.dcm`, both counted from 1 in the order of sending.
pub trait Outlet {
    /// One whole file.
    ///
    /// # Errors
    /// Whatever keeps it from taking more.
    fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
}

/// Why a case was not given out.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Keys.
    #[error("this hub is locked")]
    Locked,
    /// No such case.
    #[error("this case is not here")]
    NoCase,
    /// Nobody at this hub holds it.
    #[error("no reader at this hub holds this case")]
    NotClaimed,
    /// Images are still on their way.
    #[error("{missing} of {parcels} parcels are still on their way to this hub")]
    NotHere {
        /// Parcels not complete here.
        missing: usize,
        /// Parcels announced.
        parcels: usize,
    },
    /// The audit entry could not be written, so nothing was opened.
    #[error("the audit entry could not be written: {0}")]
    Audit(#[from] WriteError),
    /// A parcel can't be read.
    #[error(transparent)]
    Parcel(#[from] ParcelError),
}

impl Hub {
    /// Gives a case's files to `outlet`; returns their bytes. A reader at this hub must hold the case or have
    /// reported on it.
    ///
    /// # Errors
    /// [`ExportError`]; what `outlet` got before is whole and right.
    pub fn export(&self, case: &CaseId, form: Form, at: Wall, outlet: &mut dyn Outlet) -> Result<u64, ExportError> {
        if !self.is_unlocked() {
            return Err(ExportError::Locked);
        }
        let (reader, parcels) = self.allowed(case)?;
        self.audit().write((Act::Exported, *case, reader, at), &self.store, &self.at_rest, &mut *self.rng())?;
        let mut names = Names::default();
        let mut gather = Gather::new(*case);
        let mut bytes = 0;
        for id in parcels {
            let (_, packed) = self.open_parcel(id)?;
            for group in groups(id, &packed)? {
                if let Some(whole) = gather.whole(group)? {
                    bytes += self.give(id, &whole, form, &mut names, outlet)?;
                }
            }
        }
        gather.finish()?;
        Ok(bytes)
    }

    /// Gives out one group: as it is kept opened, else her reader waits for the decoder, and the next one does not.
    fn give(
        &self,
        id: ManifestId,
        group: &Group,
        form: Form,
        names: &mut Names,
        outlet: &mut dyn Outlet,
    ) -> Result<u64, ParcelError> {
        let name = Name::of(group);
        let mut giving = Giving::new(group, form, names, outlet);
        if let Some(mut kept) = self.opened.read(name) {
            if giving.kept(&mut kept)? {
                return Ok(giving.bytes);
            }
            tracing::warn!(parcel = %id, "what was kept opened does not read back; it is decoded again");
            self.opened.forget(name);
        }
        self.opened.waited();
        let filling = self.opened.begin(group, Room::Made, &mut *self.rng());
        giving.decoded(&self.workers, id, filling)
    }

    /// The reader whose claim or report at this hub allows it, and the parcels that hold Instances.
    fn allowed(&self, case: &CaseId) -> Result<(PersonId, Vec<ManifestId>), ExportError> {
        let node = self.core.read();
        let item = node.worklist().item(case).ok_or(ExportError::NoCase)?;
        let holder = match item.claim {
            ClaimState::Granted { claimant, hub: Some(hub), .. } | ClaimState::Tentative { claimant, hub, .. }
                if hub == self.me =>
            {
                Some(claimant)
            }
            _ => None,
        };
        let reported = item.reports.values().find(|report| report.node == self.me).map(|report| report.person);
        let reader = holder.or(reported).ok_or(ExportError::NotClaimed)?;
        let with_images = || item.parcels.iter().filter(|(_, parcel)| parcel.kind != PartKind::Preview);
        let here = |id: &ManifestId| {
            node.parcel(id).is_some_and(|view| view.progress == radmesh_protocol::transfer::shelf::Progress::Complete)
        };
        let missing = with_images().filter(|(id, _)| !here(id)).count();
        if missing > 0 {
            return Err(ExportError::NotHere { missing, parcels: with_images().count() });
        }
        Ok((reader, with_images().map(|(id, _)| *id).collect()))
    }
}

/// Gives out the Instances of opened parcels of one case: for the ministry, which has the recovery key and no worklist.
#[derive(Debug)]
pub struct Unpacking {
    workers: Arc<Workers>,
    names: Names,
    gather: Gather,
    form: Form,
}

impl Unpacking {
    /// Nothing yet of `case`.
    #[must_use]
    pub fn of(case: CaseId, form: Form, workers: Arc<Workers>) -> Self {
        Self { workers, names: Names::default(), gather: Gather::new(case), form }
    }

    /// Takes one parcel, in any order; a group whose coded bytes lie in several is given out with its last.
    ///
    /// # Errors
    /// [`ParcelError`]; what `outlet` got before is whole and right.
    pub fn parcel(&mut self, manifest: &Manifest, packed: &[u8], outlet: &mut dyn Outlet) -> Result<u64, ParcelError> {
        if manifest.core().kind == PartKind::Preview {
            return Ok(0);
        }
        let mut bytes = 0;
        for group in groups(manifest.id(), packed)? {
            if let Some(whole) = self.gather.whole(group)? {
                let giving = Giving::new(&whole, self.form, &mut self.names, outlet);
                bytes += giving.decoded(&self.workers, manifest.id(), None)?;
            }
        }
        Ok(bytes)
    }

    /// Says if a group stayed in pieces, because a parcel of it is missing.
    ///
    /// # Errors
    /// [`ParcelError::Parts`].
    pub fn finish(self) -> Result<(), ParcelError> {
        self.gather.finish()
    }
}

/// Gives out the Instances of one group, each only after its hash was checked. One Instance is in memory at a time.
struct Giving<'g> {
    group: &'g Group,
    form: Form,
    names: &'g mut Names,
    outlet: &'g mut dyn Outlet,
    current: Option<(usize, Vec<u8>)>,
    /// Instances that are out; a second try goes on behind them.
    given: usize,
    bytes: u64,
}

impl<'g> Giving<'g> {
    fn new(group: &'g Group, form: Form, names: &'g mut Names, outlet: &'g mut dyn Outlet) -> Self {
        Self { group, form, names, outlet, current: None, given: 0, bytes: 0 }
    }

    fn begin(&mut self, index: usize) -> io::Result<()> {
        self.end()?;
        self.current = (index >= self.given).then_some((index, Vec::new()));
        Ok(())
    }

    /// Gives out the Instance that is whole now; one with another hash is none, and the decoder says so at its end.
    fn end(&mut self) -> io::Result<()> {
        let Some((index, received)) = self.current.take() else { return Ok(()) };
        let entry = &self.group.instances[index];
        if Hash::of(&received) != entry.content {
            return Ok(());
        }
        let file = match self.form {
            Form::Verbatim => received,
            Form::Safe => safe(entry, received),
        };
        self.bytes += file.len() as u64;
        self.outlet.file(&self.names.next(self.group.series.reveal()), &file)?;
        self.given = index + 1;
        Ok(())
    }

    /// From what is kept opened. Whether all of it could be read; what could not is left for the decoder.
    fn kept(&mut self, from: &mut impl Read) -> io::Result<bool> {
        for (index, entry) in self.group.instances.iter().enumerate() {
            self.begin(index)?;
            if let Some((_, received)) = &mut self.current
                && (from.take(entry.bytes).read_to_end(received).is_err() || Hash::of(received) != entry.content)
            {
                self.current = None;
                return Ok(false);
            }
        }
        self.end()?;
        Ok(true)
    }

    /// From the decoder; `filling` is given the same bytes. Gives the bytes that went out.
    fn decoded(self, workers: &Workers, id: ManifestId, filling: Option<Filling<'g>>) -> Result<u64, ParcelError> {
        let group = self.group;
        let giving = Rc::new(RefCell::new(self));
        let begin = Rc::clone(&giving);
        decode(workers, id, group, filling, move |index| {
            begin.borrow_mut().begin(index)?;
            Ok(Box::new(Into(Rc::clone(&begin))))
        })?;
        let mut giving = giving.borrow_mut();
        giving.end()?;
        Ok(giving.bytes)
    }
}

/// Takes the bytes of the Instance that is being decoded.
struct Into<'g>(Rc<RefCell<Giving<'g>>>);

impl Write for Into<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some((_, received)) = &mut self.0.borrow_mut().current {
            received.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const PREAMBLE_BYTES: usize = 128;

/// A DICOM file with a preamble that is nothing else: zeros, unless it is a TIFF header (PS3.10 section 7.1).
fn safe(entry: &InstanceEntry, mut received: Vec<u8>) -> Vec<u8> {
    let has_meta = received.get(PREAMBLE_BYTES..PREAMBLE_BYTES + 4) == Some(b"DICM");
    if has_meta {
        let preamble = &mut received[..PREAMBLE_BYTES];
        if !preamble.starts_with(b"II*\0") && !preamble.starts_with(b"MM\0*") {
            preamble.fill(0);
        }
        return received;
    }
    let nobody = || ReceivedForm::DataSet { calling_ae: String::new(), called_ae: String::new() };
    // A bare file gets the same meta as a data set from an association, without AE titles that nobody said.
    let described = match entry.received {
        ReceivedForm::File => InstanceEntry { received: nobody(), ..entry.clone() },
        ReceivedForm::DataSet { .. } => entry.clone(),
    };
    let mut file = file_meta(&described);
    file.append(&mut received);
    file
}

/// Names files by number, so that no name comes from a patient.
#[derive(Debug, Default)]
struct Names {
    series: BTreeMap<String, (usize, usize)>,
}

impl Names {
    fn next(&mut self, series_instance_uid: &str) -> String {
        let known = self.series.len();
        let (series, instance) = self.series.entry(series_instance_uid.to_owned()).or_insert((known + 1, 0));
        *instance += 1;
        format!("{series:03}/{instance:05}.dcm")
    }
}

/// Joins groups whose coded bytes were too many for one parcel.
#[derive(Debug)]
pub(crate) struct Gather {
    case: CaseId,
    begun: BTreeMap<(String, Hash), BTreeMap<u16, Group>>,
}

impl Gather {
    pub(crate) const fn new(case: CaseId) -> Self {
        Self { case, begun: BTreeMap::new() }
    }

    /// A whole group, once its last missing part is here.
    pub(crate) fn whole(&mut self, group: Group) -> Result<Option<Group>, ParcelError> {
        if group.parts <= 1 {
            return Ok(Some(group));
        }
        let torn = || ParcelError::Parts(self.case);
        let first = group.instances.first().ok_or_else(torn)?.content;
        let place = (group.series.reveal().clone(), first);
        let parts = self.begun.entry(place.clone()).or_default();
        let total = usize::from(group.parts);
        if group.part >= group.parts || parts.values().any(|part| part.parts != group.parts) {
            return Err(ParcelError::Parts(self.case));
        }
        parts.insert(group.part, group);
        if parts.len() < total {
            return Ok(None);
        }
        let parts = self.begun.remove(&place).unwrap_or_default();
        let joined = parts.into_values().reduce(|mut whole, next| {
            whole.coded.extend_from_slice(&next.coded);
            whole
        });
        Ok(joined.map(|group| Group { part: 0, parts: 1, ..group }))
    }

    /// Says if a group stayed in pieces.
    pub(crate) fn finish(self) -> Result<(), ParcelError> {
        if self.begun.is_empty() { Ok(()) } else { Err(ParcelError::Parts(self.case)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use radmesh_protocol::phi::Phi;

    fn entry(received: ReceivedForm) -> InstanceEntry {
        InstanceEntry {
            sop_instance_uid: Phi::new("1.2.3".into()),
            sop_class_uid: "1.2.840.10008.5.1.4.1.1.7".into(),
            transfer_syntax: "1.2.840.10008.1.2".into(),
            received,
            bytes: 1,
            content: Hash([7; 32]),
            flags: vec![],
        }
    }

    fn file_with_preamble(head: &[u8]) -> Vec<u8> {
        let mut file = head.to_vec();
        file.resize(PREAMBLE_BYTES, 0x90);
        file.extend_from_slice(b"DICMrest");
        file
    }

    #[test]
    fn a_preamble_that_is_a_program_leaves_as_zeros_and_a_tiff_header_stays() {
        let program = safe(&entry(ReceivedForm::File), file_with_preamble(b"MZ"));
        assert_eq!(program[..PREAMBLE_BYTES], [0; PREAMBLE_BYTES]);
        assert_eq!(&program[PREAMBLE_BYTES..], b"DICMrest");
        let tiff = file_with_preamble(b"II*\0");
        assert_eq!(safe(&entry(ReceivedForm::File), tiff.clone()), tiff);
    }

    #[test]
    fn a_bare_data_set_leaves_as_a_file_that_ends_in_its_own_bytes() {
        let file = safe(&entry(ReceivedForm::File), b"data set".to_vec());
        assert_eq!(&file[PREAMBLE_BYTES..PREAMBLE_BYTES + 4], b"DICM");
        assert!(file.ends_with(b"data set"));
    }

    #[test]
    fn a_group_in_parts_is_given_out_whole_or_not_at_all() {
        let part = |part, coded: &[u8]| Group {
            series: Phi::new("1.2".into()),
            instances: vec![entry(ReceivedForm::File)],
            part,
            parts: 2,
            coded: coded.to_vec(),
        };
        let mut gather = Gather::new(CaseId([1; 32]));
        assert_eq!(gather.whole(part(1, b"cd")).unwrap(), None);
        let whole = gather.whole(part(0, b"ab")).unwrap().unwrap();
        assert_eq!((whole.coded.as_slice(), whole.parts), (b"abcd".as_slice(), 1));

        gather.whole(part(0, b"ab")).unwrap();
        assert!(gather.finish().is_err());
    }

    #[test]
    fn files_are_named_by_number_within_their_series() {
        let mut names = Names::default();
        let given: Vec<String> = ["1.2", "1.3", "1.2"].into_iter().map(|series| names.next(series)).collect();
        assert_eq!(given, ["001/00001.dcm", "002/00001.dcm", "001/00002.dcm"]);
    }
}

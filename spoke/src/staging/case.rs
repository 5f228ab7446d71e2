//! One case at the clinic: what of its Study is here, what is sealed, and whether it is thought complete.
//!
//! Nobody tells a spoke that a Study is complete; it believes so after a quiet period or by a person's word, and it
//! must bear being wrong: what comes later makes a further part, never a silent partial Study.

use super::{
    Novelty, ReceivedInstance, Rules, Sayings, StagingId, Task, Wholeness,
    known::{Known, Trace},
};
use radmesh_codec::scan::Fact;
use radmesh_protocol::{
    class::Class,
    id::{CaseId, Hash, ManifestId},
    log::body::ParcelSealed,
    parcel::PartKind,
    phi::Phi,
    time::{Millis, Mono, Wall},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem::{Discriminant, discriminant},
};

/// Whether the Study is thought complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assembly {
    /// Instances may still come.
    Receiving {
        /// When the latest came, or when the node started.
        last: Mono,
    },
    /// Quiet, or closed by hand: everything staged is to be packed, then the Study is closed.
    Complete,
    /// Its `StudyClosed` event is on disk and nothing came since.
    Closed,
}

/// What outlives a restart of a case besides its Instances and parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyRecord {
    /// Study Instance UID.
    pub(crate) study: Phi<String>,
    /// What its Instances say of patient and Study.
    pub(crate) sayings: Sayings,
    /// When the first Instance came.
    pub(crate) first_at: Wall,
    /// How urgent, by a person's word.
    pub(crate) class: Class,
    /// The clinical question, by a person's word; it goes before what a device says.
    pub(crate) indication: Option<Phi<String>>,
    /// Digest of the order as last published.
    pub(crate) order: Option<Hash>,
    /// Digest of the preview as last sealed.
    pub(crate) preview: Option<Hash>,
    /// How often it was closed.
    pub(crate) closed: u32,
    /// Parts that the last `StudyClosed` named.
    pub(crate) closed_parts: u32,
    /// Instances that the disk lost before they were sealed. One that is here again is no longer missed.
    pub(crate) lost: Vec<Trace>,
}

impl StudyRecord {
    /// The disk lost an Instance.
    pub(crate) fn lose(&mut self, trace: Trace) {
        if !self.lost.contains(&trace) && self.lost.len() < LOST_KEPT_MAX {
            self.lost.push(trace);
        }
    }

    /// A person's word.
    pub(crate) fn say(&mut self, class: Option<Class>, indication: Option<Phi<String>>) {
        self.class = class.unwrap_or(self.class);
        self.indication = indication.or(self.indication.take());
    }

    /// `StudyClosed` named so many parts.
    pub(crate) fn close(&mut self, parts: usize) {
        self.closed += 1;
        self.closed_parts = u32::try_from(parts).unwrap_or(u32::MAX);
    }
}

/// A Series as the preview parcel tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeriesSeen {
    pub(crate) series: Phi<String>,
    pub(crate) modality: String,
    pub(crate) description: Phi<String>,
    pub(crate) number: String,
    pub(crate) instances: u32,
    pub(crate) bytes: u64,
}

/// A sealed part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Its announcement.
    pub(crate) sealed: ParcelSealed,
    /// What of the Series is in it; none in a preview.
    pub(crate) seen: Option<SeriesSeen>,
    /// What is remembered of its Instances. Of an Instance cut into several parcels, in each of them.
    pub(crate) traces: Vec<Trace>,
    /// Of its Instances, those that end early or are malformed.
    pub(crate) damaged: u32,
    /// Of its Instances, those that the coder failed on and that are stored as received.
    pub(crate) stored: u32,
    /// Which piece of a long Instance it is: they are announced in order, so that the last one, which counts, is last.
    pub(crate) piece: u16,
    /// How far it got.
    pub(crate) step: PartStep,
}

/// How far a sealed part got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PartStep {
    /// Its file is on disk, read back and compared. The announcement is repeated until it is on disk too.
    Sealed {
        /// The manifest as it travels.
        manifest: Vec<u8>,
        /// Staging files that are in it, to be deleted.
        files: Vec<StagingId>,
    },
    /// Announced; its staging files are gone or about to be.
    Announced,
    /// Announced, and found damaged on this disk before the home hub had signed for it: its Instances are missed until
    /// they are sent again.
    Damaged,
}

/// What keeps a case from going on, and when it is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// In words for the technician.
    pub(crate) why: String,
    /// How often in a row.
    pub(crate) times: u32,
    task: Discriminant<Task>,
    until: Mono,
}

/// What is really here of an Instance that is known: any of its files, or all of its parts.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    pub(crate) files: Vec<ReceivedInstance>,
    /// Each with its manifest where it is not announced yet.
    pub(crate) parts: Vec<(ManifestId, Option<Vec<u8>>)>,
}

/// What a restart must publish again, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// At once.
    Now,
    /// When the Study is thought complete.
    WhenComplete,
    /// Nothing new to say.
    No,
}

/// What the previews sealed since this node started show.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pictured {
    /// Frames of staging files.
    pub(crate) frames: BTreeSet<(StagingId, u32)>,
    /// Bytes of all pictures.
    pub(crate) bytes: u32,
    /// Instances of each Series that were staged when the last of them was begun.
    series: BTreeMap<Phi<String>, usize>,
}

/// What a preview shows, and what was staged when it was begun: Instances come while its pictures are made.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Frames of staging files, and the bytes of each one's picture.
    pub frames: Vec<((StagingId, u32), usize)>,
    staged: BTreeMap<Phi<String>, usize>,
}

/// A staged Instance and what is remembered of it.
#[derive(Debug, Clone)]
pub(crate) struct Staged {
    pub(crate) instance: ReceivedInstance,
    pub(crate) trace: Trace,
}

/// One case.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) id: CaseId,
    pub(crate) record: StudyRecord,
    pub(crate) assembly: Assembly,
    pub(crate) staged: BTreeMap<StagingId, Staged>,
    pub(crate) parts: BTreeMap<ManifestId, PartRecord>,
    pub(crate) order: Due,
    pub(crate) preview: Due,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) pictured: Pictured,
    known: Known,
    series_last: BTreeMap<Phi<String>, Mono>,
}

/// Instances of one part at most: what is remembered of them goes into one journal record.
const RUN_INSTANCES_MAX: usize = 2048;
/// Lost Instances that a Study's record names at most: 64 bytes each, in a record of at most 1 MiB.
const LOST_KEPT_MAX: usize = 8192;
/// First wait after a step that failed, and the longest: a case in trouble costs one try a minute.
const RETRY_MIN: Millis = Millis::from_secs(2);
const RETRY_DOUBLINGS_MAX: u32 = 5;

/// Staged Instances of one Series, to be packed into one parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which case.
    pub case: CaseId,
    /// Series, or late part.
    pub kind: PartKind,
    /// Their files, in the order of (0020,0013) Instance Number.
    pub files: Vec<StagingId>,
    /// Bytes received, in all.
    pub bytes: u64,
}

impl Case {
    /// A case whose first Instance has just come.
    pub(crate) fn first(id: CaseId, first: &ReceivedInstance, now: Mono) -> Self {
        let record = StudyRecord {
            study: first.study.clone(),
            sayings: first.sayings.clone(),
            first_at: first.at,
            class: Class::Routine,
            indication: None,
            order: None,
            preview: None,
            closed: 0,
            closed_parts: 0,
            lost: Vec::new(),
        };
        Self::restored(id, record, now)
    }

    /// A case as the journal has it, before its Instances and parts are added.
    pub(crate) fn restored(id: CaseId, record: StudyRecord, now: Mono) -> Self {
        let finished = record.closed > 0;
        let due = |made: Option<Hash>| match (finished, made) {
            (_, None) => Due::Now,
            (true, Some(_)) => Due::No,
            (false, Some(_)) => Due::WhenComplete,
        };
        Self {
            id,
            assembly: if finished { Assembly::Closed } else { Assembly::Receiving { last: now } },
            staged: BTreeMap::new(),
            parts: BTreeMap::new(),
            order: due(record.order),
            preview: due(record.preview),
            trouble: None,
            pictured: Pictured::default(),
            known: Known::default(),
            series_last: BTreeMap::new(),
            record,
        }
    }

    pub(crate) fn judge(&self, trace: &Trace) -> Novelty {
        self.known.judge(trace)
    }

    pub(crate) fn is_conflicting(&self, trace: &Trace) -> bool {
        self.known.is_conflicting(trace)
    }

    /// Takes in an Instance that is on disk with its record.
    pub(crate) fn take_in(&mut self, instance: ReceivedInstance, trace: Trace, now: Mono) {
        self.record.sayings.fill_in(&instance.sayings);
        for due in [&mut self.order, &mut self.preview] {
            if *due == Due::No {
                *due = Due::WhenComplete;
            }
        }
        self.assembly = Assembly::Receiving { last: now };
        self.series_last.insert(Phi::new(instance.series_or_self().to_owned()), now);
        self.known.remember(trace);
        self.staged.insert(instance.file, Staged { instance, trace });
    }

    /// Adds a sealed part. Its Instances stay staged until it is announced, in case it never is.
    pub(crate) fn add_part(&mut self, manifest: ManifestId, part: PartRecord) {
        if part.step != PartStep::Damaged {
            part.traces.iter().for_each(|trace| self.known.remember(*trace));
        }
        self.parts.insert(manifest, part);
        if self.assembly == Assembly::Closed && self.parts.len() > self.record.closed_parts as usize {
            self.assembly = Assembly::Complete;
        }
    }

    /// A part is announced: what is in it is no longer staged.
    pub(crate) fn announced(&mut self, manifest: &ManifestId) {
        let Some(part) = self.parts.get_mut(manifest) else { return };
        if let PartStep::Sealed { files, .. } = std::mem::replace(&mut part.step, PartStep::Announced) {
            files.iter().for_each(|file| drop(self.staged.remove(file)));
        }
    }

    /// Parts that are sealed and not announced.
    pub(crate) fn unannounced(&self) -> Vec<ManifestId> {
        self.parts.iter().filter(|(_, part)| part.is_unannounced()).map(|(manifest, _)| *manifest).collect()
    }

    /// A part that is not announced can't be used: it is forgotten, and what is in it is packed again.
    pub(crate) fn unseal(&mut self, manifest: &ManifestId) {
        self.parts.remove(manifest);
    }

    /// An announced part is damaged and nobody else has it: its Instances, sent again, are new.
    pub(crate) fn part_damaged(&mut self, manifest: &ManifestId) {
        let Some(part) = self.parts.get_mut(manifest) else { return };
        part.step = PartStep::Damaged;
        let gone = part.traces.clone();
        gone.iter().for_each(|trace| self.known.forget(trace));
        let staged = self.staged.values().map(|staged| staged.trace);
        let sealed = self.parts.values().filter(|part| part.step != PartStep::Damaged);
        staged.chain(sealed.flat_map(|part| part.traces.iter().copied())).for_each(|held| self.known.remember(held));
    }

    /// What is really here of an Instance.
    pub(crate) fn copies(&self, trace: &Trace) -> Copies {
        let files = self.staged.values().filter(|staged| staged.trace == *trace);
        let parts = self.parts.iter().filter(|(_, part)| part.step != PartStep::Damaged && part.traces.contains(trace));
        let signed = |part: &PartRecord| match &part.step {
            PartStep::Sealed { manifest, .. } => Some(manifest.clone()),
            PartStep::Announced | PartStep::Damaged => None,
        };
        Copies {
            files: files.map(|staged| staged.instance.clone()).collect(),
            parts: parts.map(|(manifest, part)| (*manifest, signed(part))).collect(),
        }
    }

    /// Whether a sealed part holds what was in a file.
    pub(crate) fn is_sealed(&self, file: &StagingId) -> bool {
        self.parts.values().any(|part| matches!(&part.step, PartStep::Sealed { files, .. } if files.contains(file)))
    }

    /// Instances that were acknowledged and are missed: the disk lost them, and nobody has sent them again.
    pub(crate) fn lost(&self) -> usize {
        let damaged = self.parts.values().filter(|part| part.step == PartStep::Damaged);
        let missed = damaged.flat_map(|part| &part.traces).chain(&self.record.lost);
        missed.filter(|trace| !self.known.holds_content_of(trace)).collect::<BTreeSet<_>>().len()
    }

    /// The parts that the Study is made of. A damaged one whose Instances are all here again is none of them.
    pub(crate) fn named_parts(&self) -> impl Iterator<Item = (&ManifestId, &PartRecord)> {
        let replaced = |part: &PartRecord| {
            part.step == PartStep::Damaged && part.traces.iter().all(|trace| self.known.holds_content_of(trace))
        };
        self.parts.iter().filter(move |(_, part)| !replaced(part))
    }

    /// A step for this case failed: it waits, longer each time, and other cases go on.
    pub(crate) fn failed(&mut self, task: &Task, why: String, now: Mono) {
        let task = discriminant(task);
        let before = self.trouble.as_ref().filter(|trouble| trouble.task == task).map_or(0, |trouble| trouble.times);
        let wait = Millis(RETRY_MIN.0 << before.min(RETRY_DOUBLINGS_MAX));
        self.trouble = Some(Trouble { why, times: before + 1, task, until: now.after(wait) });
    }

    /// A step was done; what failed before may be another one.
    pub(crate) fn succeeded(&mut self, task: &Task) {
        self.trouble.take_if(|trouble| trouble.task == discriminant(task) || matches!(task, Task::Close(_)));
    }

    /// Until when it waits after a failure.
    pub(crate) fn waits(&self, now: Mono) -> Option<Mono> {
        self.trouble.as_ref().map(|trouble| trouble.until).filter(|until| *until > now)
    }

    /// Instances that end early or are malformed.
    pub(crate) fn damaged(&self) -> usize {
        let sealed = self.announced_parts().map(|part| part.damaged as usize).sum::<usize>();
        let damaged = |staged: &&Staged| staged.instance.wholeness == Wholeness::Damaged;
        sealed + self.staged.values().filter(damaged).count()
    }

    /// Instances that the coder failed on.
    pub(crate) fn stored(&self) -> usize {
        self.named_parts().map(|(_, part)| part.stored as usize).sum()
    }

    fn announced_parts(&self) -> impl Iterator<Item = &PartRecord> {
        self.parts.values().filter(|part| part.step == PartStep::Announced)
    }

    /// Forgets an Instance whose file does not give back what was received: sent again, it is new.
    pub(crate) fn lose(&mut self, file: StagingId) {
        if let Some(staged) = self.staged.remove(&file) {
            self.known.forget(&staged.trace);
            self.record.lose(staged.trace);
        }
    }

    /// SOP Instance UIDs that stand for more than one content.
    pub(crate) fn conflicting(&self) -> usize {
        self.known.conflicting()
    }

    /// Whether every part is announced and nothing is staged.
    pub(crate) fn is_packed(&self) -> bool {
        self.staged.is_empty() && !self.parts.values().any(PartRecord::is_unannounced)
    }

    /// Lets the quiet period do its work.
    pub(crate) fn settle(&mut self, rules: &Rules, now: Mono) {
        if let Assembly::Receiving { last } = self.assembly
            && now.since(last) >= rules.quiet
        {
            self.assembly = Assembly::Complete;
        }
    }

    /// When something becomes due by itself.
    pub(crate) fn wake(&self, rules: &Rules, now: Mono) -> Option<Mono> {
        if let Some(until) = self.waits(now) {
            return Some(until);
        }
        let Assembly::Receiving { last } = self.assembly else { return None };
        let series = self.series_last.values().map(|last| last.after(rules.series_quiet)).filter(|at| *at > now);
        series.chain([last.after(rules.quiet)]).min()
    }

    /// The run of staged Instances to pack next: of the smallest Series that is ready.
    pub(crate) fn run(&self, rules: &Rules, now: Mono) -> Option<Run> {
        let mut series: BTreeMap<&str, Vec<&Staged>> = BTreeMap::new();
        for staged in self.staged.values() {
            series.entry(staged.instance.series_or_self()).or_default().push(staged);
        }
        let bytes = |run: &[&Staged]| run.iter().map(|staged| staged.instance.bytes).sum::<u64>();
        let ready = series.into_iter().filter(|(uid, run)| match self.assembly {
            Assembly::Receiving { .. } => {
                let last = self.series_last.get(&Phi::new((*uid).to_owned())).copied().unwrap_or_default();
                bytes(run) >= rules.part_bytes || now.since(last) >= rules.series_quiet
            }
            Assembly::Complete | Assembly::Closed => true,
        });
        let (_, mut run) = ready.min_by_key(|(_, run)| bytes(run))?;
        run.sort_by_cached_key(|staged| staged.place());
        let mut sum = 0;
        let fits = run.iter().take(RUN_INSTANCES_MAX).take_while(|staged| {
            sum += staged.instance.bytes;
            sum <= rules.part_bytes
        });
        let fits = fits.count().max(1);
        run.truncate(fits);
        Some(Run {
            case: self.id,
            kind: if self.record.closed > 0 { PartKind::Late } else { PartKind::Series },
            files: run.iter().map(|staged| staged.instance.file).collect(),
            bytes: bytes(&run),
        })
    }

    /// A preview of what is staged now is begun: nothing is shown yet.
    pub(crate) fn begin_preview(&self) -> Shown {
        Shown { frames: Vec::new(), staged: self.staged_of_series() }
    }

    /// It was sealed. Whether it tells of all that is staged by now.
    pub(crate) fn picture(&mut self, shown: &Shown) -> bool {
        for (frame, bytes) in &shown.frames {
            self.pictured.frames.insert(*frame);
            self.pictured.bytes = self.pictured.bytes.saturating_add(u32::try_from(*bytes).unwrap_or(u32::MAX));
        }
        self.pictured.series = shown.staged.clone();
        shown.staged == self.staged_of_series()
    }

    /// Instances of each Series that are staged.
    fn staged_of_series(&self) -> BTreeMap<Phi<String>, usize> {
        self.staged.values().fold(BTreeMap::new(), |mut series, staged| {
            *series.entry(Phi::new(staged.instance.series_or_self().to_owned())).or_default() += 1;
            series
        })
    }

    /// Whether the Series of a run has more Instances than when its pictures were made, and none of it left yet.
    pub(crate) fn lacks_pictures(&self, run: &Run) -> bool {
        let Some(series) = run.files.first().and_then(|file| self.staged.get(file)) else { return false };
        let series = series.instance.series_or_self();
        let seen = |part: &PartRecord| part.seen.as_ref().is_some_and(|seen| seen.series.reveal() == series);
        let here = self.staged.values().filter(|staged| staged.instance.series_or_self() == series).count();
        let then = self.pictured.series.get(&Phi::new(series.to_owned())).copied().unwrap_or_default();
        here > then && !self.parts.values().any(seen)
    }

    /// Every Series of the case, sealed or staged, as the preview tells of it.
    pub(crate) fn series(&self) -> BTreeMap<String, SeriesSeen> {
        let mut all: BTreeMap<String, SeriesSeen> = BTreeMap::new();
        let sealed = self.announced_parts().filter_map(|part| part.seen.clone());
        for seen in sealed.chain(self.staged.values().map(|staged| SeriesSeen::of(&staged.instance))) {
            all.entry(seen.series.reveal().clone()).or_default().add(seen);
        }
        all
    }

    /// SOP Instance UIDs known.
    pub(crate) fn instances(&self) -> usize {
        self.known.instances()
    }

    /// Received bytes that are not sealed yet.
    pub(crate) fn staged_bytes(&self) -> u64 {
        self.staged.values().map(|staged| staged.instance.bytes).sum()
    }
}

impl PartRecord {
    fn is_unannounced(&self) -> bool {
        matches!(self.step, PartStep::Sealed { .. })
    }
}

impl Staged {
    /// Place in its Series: (0020,0013), and the UID where devices number nothing.
    pub(crate) fn place(&self) -> (u64, Phi<String>, StagingId) {
        let number = self.instance.sayings.shown(Fact::InstanceNumber).trim().parse().unwrap_or(u64::MAX);
        (number, self.instance.sop_instance.clone(), self.instance.file)
    }
}

impl SeriesSeen {
    /// What one Instance adds to its Series.
    pub(crate) fn of(instance: &ReceivedInstance) -> Self {
        let shown = |fact| instance.sayings.shown(fact).to_owned();
        Self {
            series: Phi::new(instance.series_or_self().to_owned()),
            modality: shown(Fact::Modality),
            description: Phi::new(shown(Fact::SeriesDescription)),
            number: shown(Fact::SeriesNumber),
            instances: 1,
            bytes: instance.bytes,
        }
    }

    /// Adds what another part holds of the same Series.
    pub(crate) fn add(&mut self, other: Self) {
        let (instances, bytes) = (self.instances + other.instances, self.bytes + other.bytes);
        let first = if self.instances == 0 { other } else { std::mem::take(self) };
        *self = Self { instances, bytes, ..first };
    }
}

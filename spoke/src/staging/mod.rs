//! Staging: Instances that were received become Studies, and Studies become work for the packer.
//!
//! A pure machine: Instances, words of a person, finished work and the time go in; what is to be done next comes
//! out, the smallest and most urgent first. It holds nothing that the journal does not: after a crash it is built
//! again from the records, and every task that was not finished is given out again.

mod case;
mod known;
mod received;

pub use case::{Assembly, PartRecord, Run, Shown, StudyRecord};
pub(crate) use case::{Case, Copies, PartStep, SeriesSeen, Staged};
pub use known::{Known, Novelty, Trace};
pub use received::{FileKey, ReceivedInstance, Sayings, Sender, StagingId, Told, Wholeness};

use case::Due;
use radmesh_protocol::{
    class::Class,
    envelope::{at_rest::AtRestKey, site::SiteSecret},
    id::{CaseId, Hash, ManifestId},
    phi::Phi,
    time::{Millis, Mono},
};
use std::collections::BTreeMap;

/// When a Study is thought complete and how much goes into a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Without a new Instance for so long, the Study is complete.
    pub quiet: Millis,
    /// Without a new Instance for so long, the Series may be packed already.
    pub series_quiet: Millis,
    /// Received bytes of one part, unless a single Instance has more.
    pub part_bytes: u64,
}

impl Rules {
    /// The rules for a quiet period.
    #[must_use]
    pub fn quiet(quiet: Millis) -> Self {
        Self { quiet, series_quiet: Millis((quiet.0 / 2).min(SERIES_QUIET_MAX.0)), part_bytes: PART_BYTES }
    }
}

/// Received bytes of a part: even if nothing can be saved by coding they fit a parcel, and packing them takes little
/// memory.
const PART_BYTES: u64 = 16 * 1024 * 1024;
/// A device sends one Series after the other; 10 s without an Instance is a Series' end.
const SERIES_QUIET_MAX: Millis = Millis::from_secs(10);
const _: () = assert!(PART_BYTES < radmesh_protocol::limits::PARCEL_BYTES_MAX);

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Publish the order.
    Order(CaseId),
    /// Announce a part that is sealed already (after a crash).
    Announce(CaseId, ManifestId),
    /// Seal a preview parcel.
    Preview(CaseId),
    /// Seal staged Instances.
    Part(Run),
    /// Publish `StudyClosed`.
    Close(CaseId),
}

impl Task {
    /// Whose it is.
    #[must_use]
    pub const fn case(&self) -> CaseId {
        match self {
            Self::Order(case) | Self::Announce(case, _) | Self::Preview(case) | Self::Close(case) => *case,
            Self::Part(run) => run.case,
        }
    }
}

/// What is to be done next, or when to ask again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Now.
    Task(Task),
    /// Nothing before this time, unless something is received.
    At(Mono),
    /// Nothing, unless something is received.
    Idle,
}

/// No case by that id, or by that beginning of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no case {case} at this spoke")]
pub struct NoSuchCase {
    /// What was asked for.
    pub case: String,
}

/// All cases of this spoke.
#[derive(Debug)]
pub struct Staging {
    rules: Rules,
    site: SiteSecret,
    at_rest: AtRestKey,
    cases: BTreeMap<CaseId, Case>,
}

impl Staging {
    /// An empty one.
    #[must_use]
    pub const fn new(rules: Rules, site: SiteSecret, at_rest: AtRestKey) -> Self {
        Self { rules, site, at_rest, cases: BTreeMap::new() }
    }

    /// The case of a Study.
    #[must_use]
    pub fn case_of(&self, study: &Phi<String>) -> CaseId {
        self.site.case_id(study)
    }

    /// How an Instance stands to what is here.
    #[must_use]
    pub fn judge(&self, instance: &ReceivedInstance) -> Novelty {
        let trace = Trace::of(instance, &self.at_rest);
        self.cases.get(&self.case_of(&instance.study)).map_or(Novelty::New, |case| case.judge(&trace))
    }

    /// Takes in an Instance whose bytes and record are on disk, just received or found in the journal.
    pub fn take_in(&mut self, instance: ReceivedInstance, now: Mono) -> CaseId {
        let id = self.case_of(&instance.study);
        let trace = Trace::of(&instance, &self.at_rest);
        let case = self.cases.entry(id).or_insert_with(|| Case::first(id, &instance, now));
        case.take_in(instance, trace, now);
        id
    }

    /// Puts back what the journal has of a Study; before its Instances and parts.
    pub fn restore_study(&mut self, record: StudyRecord, now: Mono) {
        let id = self.case_of(&record.study);
        self.cases.insert(id, Case::restored(id, record, now));
    }

    /// Adds a sealed part, new or from the journal. One whose Study has no record left is not lost: its parcel and
    /// announcement are the node's.
    pub fn add_part(&mut self, manifest: ManifestId, part: PartRecord) {
        if let Some(case) = self.cases.get_mut(&part.sealed.case) {
            case.add_part(manifest, part);
        }
    }

    /// An Instance was lost on this disk.
    pub fn lost(&mut self, case: &CaseId, file: StagingId) {
        if let Some(case) = self.cases.get_mut(case) {
            case.lose(file);
        }
    }

    /// A sealed part is announced.
    pub fn announced(&mut self, manifest: &ManifestId) {
        self.cases.values_mut().for_each(|case| case.announced(manifest));
    }

    /// A sealed part can't be used: it is forgotten and packed again.
    pub fn unseal(&mut self, manifest: &ManifestId) {
        self.cases.values_mut().for_each(|case| case.unseal(manifest));
    }

    /// An announced part is damaged and nobody else has it: its Instances are missed until they are sent again.
    pub fn part_damaged(&mut self, manifest: &ManifestId) {
        self.cases.values_mut().for_each(|case| case.part_damaged(manifest));
    }

    /// A step failed: its case waits, longer each time, and the others go on.
    pub fn failed(&mut self, task: &Task, why: String, now: Mono) {
        if let Some(case) = self.cases.get_mut(&task.case()) {
            case.failed(task, why, now);
        }
    }

    /// A step was done.
    pub fn succeeded(&mut self, task: &Task) {
        if let Some(case) = self.cases.get_mut(&task.case()) {
            case.succeeded(task);
        }
    }

    /// What is really here of an Instance.
    pub(crate) fn copies(&self, instance: &ReceivedInstance) -> Copies {
        let trace = Trace::of(instance, &self.at_rest);
        self.cases.get(&self.case_of(&instance.study)).map_or_else(Copies::default, |case| case.copies(&trace))
    }

    /// What is remembered of an Instance.
    pub(crate) fn trace_of(&self, instance: &ReceivedInstance) -> Trace {
        Trace::of(instance, &self.at_rest)
    }

    /// A part by its name.
    #[must_use]
    pub(crate) fn part(&self, manifest: &ManifestId) -> Option<&PartRecord> {
        self.cases.values().find_map(|case| case.parts.get(manifest))
    }

    /// The order is published, or was the same as before.
    pub fn order_made(&mut self, case: &CaseId, digest: Hash) {
        if let Some(case) = self.cases.get_mut(case) {
            case.record.order = Some(digest);
            // A person may have said more while this one was being published: STAT must not be lost to that.
            let (_, latest) = crate::order::details(case);
            case.order = if latest == digest { Due::No } else { Due::Now };
        }
    }

    /// The preview is sealed, or was the same as before.
    pub fn preview_made(&mut self, case: &CaseId, digest: Hash, shown: &Shown) {
        if let Some(case) = self.cases.get_mut(case) {
            case.record.preview = Some(digest);
            let tells_all = case.picture(shown);
            // At the first Instance it told of one; it is told again when all are here.
            case.preview = if tells_all && case.assembly == Assembly::Complete { Due::No } else { Due::WhenComplete };
        }
    }

    /// `StudyClosed` is on disk. Stays open if an Instance came meanwhile.
    pub fn closed(&mut self, case: &CaseId) {
        if let Some(case) = self.cases.get_mut(case) {
            case.record.close(case.parts.len());
            if case.assembly == Assembly::Complete {
                case.assembly = Assembly::Closed;
            }
        }
    }

    /// A person says that the Study is complete.
    ///
    /// # Errors
    /// [`NoSuchCase`].
    pub fn close(&mut self, case: &CaseId) -> Result<(), NoSuchCase> {
        let case = self.cases.get_mut(case).ok_or_else(|| NoSuchCase { case: case.to_string() })?;
        if case.assembly != Assembly::Closed {
            case.assembly = Assembly::Complete;
        }
        Ok(())
    }

    /// A person says how urgent it is, or what the question is; the order is published anew.
    ///
    /// # Errors
    /// [`NoSuchCase`].
    pub fn prioritise(
        &mut self,
        case: &CaseId,
        class: Option<Class>,
        indication: Option<Phi<String>>,
    ) -> Result<(), NoSuchCase> {
        let case = self.cases.get_mut(case).ok_or_else(|| NoSuchCase { case: case.to_string() })?;
        if class.is_none_or(|class| class == case.record.class)
            && (indication.is_none() || indication == case.record.indication)
        {
            return Ok(());
        }
        case.record.say(class, indication);
        case.order = Due::Now;
        Ok(())
    }

    /// What to do next: orders and closings first (an event is small), then previews, then parts, each by class and
    /// size.
    pub fn next(&mut self, now: Mono) -> Next {
        let rules = self.rules;
        self.cases.values_mut().for_each(|case| case.settle(&rules, now));
        let ready = self.cases.values().filter(|case| case.waits(now).is_none());
        let task = ready.filter_map(|case| case.task(&rules, now)).min_by_key(|(place, _)| *place);
        if let Some((_, task)) = task {
            return Next::Task(task);
        }
        self.cases.values().filter_map(|case| case.wake(&rules, now)).min().map_or(Next::Idle, Next::At)
    }

    pub(crate) fn case(&self, id: &CaseId) -> Option<&Case> {
        self.cases.get(id)
    }

    pub(crate) fn cases(&self) -> impl Iterator<Item = &Case> {
        self.cases.values()
    }
}

impl Case {
    /// What this case wants done, and its place among all cases.
    fn task(&self, rules: &Rules, now: Mono) -> Option<((u8, Class, u64), Task)> {
        let complete = self.assembly == Assembly::Complete;
        let due = |due: Due| due == Due::Now || (complete && due == Due::WhenComplete);
        let class = self.record.class;
        if due(self.order) {
            return Some(((0, class, 0), Task::Order(self.id)));
        }
        let sealed = self.parts.iter().filter(|(_, part)| matches!(part.step, PartStep::Sealed { .. }));
        if let Some((manifest, _)) = sealed.min_by_key(|(_, part)| part.piece) {
            return Some(((0, class, 0), Task::Announce(self.id, *manifest)));
        }
        if due(self.preview) {
            return Some(((1, class.of_preview(), 0), Task::Preview(self.id)));
        }
        if let Some(run) = self.run(rules, now) {
            // What is packed leaves this disk: before the first part of a Series goes, its pictures are made.
            if self.lacks_pictures(&run) {
                return Some(((1, class.of_preview(), 0), Task::Preview(self.id)));
            }
            return Some(((2, class, run.bytes), Task::Part(run)));
        }
        (complete && self.is_packed()).then_some(((0, class, 0), Task::Close(self.id)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use radmesh_codec::scan::Fact;
    use radmesh_protocol::{id::ParcelId, log::body::ParcelSealed, parcel::contents::ReceivedForm, time::Wall};

    const SECOND: u64 = 1000;

    /// An Instance of Study, Series and Instance UID with a content and received bytes of that hash.
    pub(crate) fn received(study: &str, series: &str, uid: &str, content: u8, bytes: u8) -> ReceivedInstance {
        let phi = |text: &str| Phi::new(text.to_owned());
        let mut file = *Hash::of([study, series, uid].concat().as_bytes()).0.first_chunk::<16>().unwrap();
        file[0] = content;
        file[1] = bytes;
        ReceivedInstance {
            file: StagingId(file),
            key: FileKey([1; 32]),
            bytes: 1000,
            received: Hash([bytes; 32]),
            content: Hash([content; 32]),
            form: ReceivedForm::File,
            study: phi(study),
            series: phi(series),
            sop_instance: phi(uid),
            sop_class: "1.2.840.10008.5.1.4.1.1.2".into(),
            transfer_syntax: "1.2.840.10008.1.2.1".into(),
            sayings: Sayings::default(),
            wholeness: Wholeness::Whole,
            sender: Sender::Hand,
            at: Wall(1),
        }
    }

    /// One from a sender.
    pub(crate) fn received_from(uid: &str, content: u8, sender: Sender) -> ReceivedInstance {
        ReceivedInstance { sender, ..received("1.9", "1.9.1", uid, content, content) }
    }

    /// The order is on disk as it stands.
    fn publish(staging: &mut Staging, case: &CaseId) {
        let (_, digest) = crate::order::details(staging.case(case).unwrap());
        staging.order_made(case, digest);
    }

    fn rules() -> Rules {
        Rules { quiet: Millis(60 * SECOND), series_quiet: Millis(10 * SECOND), part_bytes: 2500 }
    }

    fn staging() -> Staging {
        Staging::new(rules(), SiteSecret::from_bytes([3; 32]), AtRestKey::from_bytes(&[4; 32]))
    }

    fn part(case: CaseId, run: &Run, staging: &Staging) -> (ManifestId, PartRecord) {
        let manifest = ManifestId(run.files[0].0);
        let staged: Vec<Staged> =
            run.files.iter().map(|file| staging.case(&case).unwrap().staged[file].clone()).collect();
        let sealed = ParcelSealed {
            case,
            parcel: ParcelId([0; 16]),
            manifest,
            core: Hash([0; 32]),
            pool: "south".parse().unwrap(),
            epoch: 0,
            kind: run.kind,
            sealed_bytes: 4096,
            instances: run.files.len() as u32,
        };
        let step = PartStep::Sealed { manifest: vec![1], files: run.files.clone() };
        let seen = Some(SeriesSeen::of(&staged[0].instance));
        (
            manifest,
            PartRecord {
                sealed,
                seen,
                traces: staged.iter().map(|s| s.trace).collect(),
                damaged: 0,
                stored: 0,
                piece: 0,
                step,
            },
        )
    }

    /// Does what the machine asks for until it asks for nothing more at `now`; returns the words for it.
    fn drain(staging: &mut Staging, now: Mono) -> Vec<String> {
        let mut done = Vec::new();
        while let Next::Task(task) = staging.next(now) {
            done.push(match task {
                Task::Order(case) => {
                    publish(staging, &case);
                    "order".to_owned()
                }
                Task::Preview(case) => {
                    let shown = staging.case(&case).unwrap().begin_preview();
                    staging.preview_made(&case, Hash([2; 32]), &shown);
                    "preview".to_owned()
                }
                Task::Announce(_, manifest) => {
                    staging.announced(&manifest);
                    "announce".to_owned()
                }
                Task::Part(run) => {
                    let (manifest, part) = part(run.case, &run, staging);
                    staging.add_part(manifest, part);
                    format!("{:?} of {}", run.kind, run.files.len())
                }
                Task::Close(case) => {
                    staging.closed(&case);
                    "close".to_owned()
                }
            });
        }
        done
    }

    #[test]
    fn the_order_and_a_preview_go_before_a_series_and_the_study_closes_after_a_quiet_period() {
        let mut staging = staging();
        staging.take_in(received("1", "1.1", "a", 1, 1), Mono(0));
        assert_eq!(drain(&mut staging, Mono(0)), ["order", "preview"]);
        assert_eq!(staging.next(Mono(0)), Next::At(Mono(10 * SECOND)));
        assert_eq!(drain(&mut staging, Mono(10 * SECOND)), ["Series of 1", "announce"]);
        assert_eq!(staging.next(Mono(10 * SECOND)), Next::At(Mono(60 * SECOND)));
        assert_eq!(drain(&mut staging, Mono(60 * SECOND)), ["preview", "close"]);
        assert_eq!(staging.next(Mono(90 * SECOND)), Next::Idle);
    }

    #[test]
    fn a_series_that_grew_since_its_preview_is_pictured_again_before_it_leaves_the_disk() {
        let mut staging = staging();
        staging.take_in(received("1", "1.1", "a", 1, 1), Mono(0));
        assert_eq!(drain(&mut staging, Mono(0)), ["order", "preview"]);
        staging.take_in(received("1", "1.1", "b", 2, 2), Mono(SECOND));
        assert_eq!(drain(&mut staging, Mono(11 * SECOND)), ["preview", "Series of 2", "announce"]);
        staging.take_in(received("1", "1.1", "c", 3, 3), Mono(12 * SECOND));
        assert_eq!(drain(&mut staging, Mono(22 * SECOND)), ["Series of 1", "announce"], "once a Series");
    }

    #[test]
    fn what_came_while_a_preview_was_made_is_shown_by_the_next_one() {
        let mut staging = staging();
        let case = staging.take_in(received("1", "1.1", "a", 1, 1), Mono(0));
        publish(&mut staging, &case);
        let shown = staging.case(&case).unwrap().begin_preview();
        staging.take_in(received("1", "1.1", "b", 2, 2), Mono(0));
        staging.close(&case).unwrap();
        staging.preview_made(&case, Hash([2; 32]), &shown);
        assert_eq!(drain(&mut staging, Mono(0)), ["order", "preview", "Series of 2", "announce", "close"]);
    }

    #[test]
    fn a_late_instance_makes_a_further_part_of_the_same_case_and_a_new_closing() {
        let mut staging = staging();
        let case = staging.take_in(received("1", "1.1", "a", 1, 1), Mono(0));
        drain(&mut staging, Mono(60 * SECOND));
        assert_eq!(staging.case(&case).unwrap().assembly, Assembly::Closed);
        assert_eq!(staging.take_in(received("1", "1.1", "b", 2, 2), Mono(100 * SECOND)), case);
        let done = drain(&mut staging, Mono(160 * SECOND));
        assert_eq!(done, ["order", "preview", "Late of 1", "announce", "close"]);
        assert_eq!(staging.case(&case).unwrap().record.closed, 2);
    }

    #[test]
    fn a_study_closed_by_hand_waits_for_no_quiet_period() {
        let mut staging = staging();
        let case = staging.take_in(received("1", "1.1", "a", 1, 1), Mono(0));
        staging.close(&case).unwrap();
        assert_eq!(drain(&mut staging, Mono(0)).last().unwrap(), "close");
        assert!(staging.close(&CaseId([0; 32])).is_err());
    }

    #[test]
    fn a_long_series_goes_in_parts_in_the_order_of_instance_numbers() {
        let mut staging = staging();
        for (uid, number) in [("c", "3"), ("a", "1"), ("d", "10"), ("b", "2")] {
            let mut instance = received("1", "1.1", uid, number.len() as u8, uid.as_bytes()[0]);
            let told = [(Fact::InstanceNumber.tag(), Told::Text(number.into()))];
            instance.sayings = postcard::from_bytes(&postcard::to_stdvec(&BTreeMap::from(told)).unwrap()).unwrap();
            staging.take_in(instance, Mono(0));
        }
        drain_small(&mut staging);
        let Next::Task(Task::Part(run)) = staging.next(Mono(0)) else { panic!("a full part does not wait for quiet") };
        let staged = &staging.case(&run.case).unwrap().staged;
        let uids: Vec<&str> = run.files.iter().map(|f| staged[f].instance.sop_instance.reveal().as_str()).collect();
        assert_eq!(uids, ["a", "b"], "2,500 bytes hold two Instances of 1,000");
    }

    fn drain_small(staging: &mut Staging) {
        while let Next::Task(task @ (Task::Order(_) | Task::Preview(_))) = staging.next(Mono(0)) {
            match task {
                Task::Order(case) => publish(staging, &case),
                Task::Preview(case) => {
                    let shown = staging.case(&case).unwrap().begin_preview();
                    staging.preview_made(&case, Hash([1; 32]), &shown);
                }
                _ => unreachable!("matched above"),
            }
        }
    }

    #[test]
    fn an_urgent_case_is_packed_before_a_smaller_routine_one() {
        let mut staging = staging();
        let large = staging.take_in(ReceivedInstance { bytes: 2000, ..received("1", "1.1", "a", 1, 1) }, Mono(0));
        staging.take_in(received("2", "2.1", "b", 1, 1), Mono(0));
        staging.prioritise(&large, Some(Class::Stat), None).unwrap();
        drain_small(&mut staging);
        let Next::Task(Task::Part(run)) = staging.next(Mono(10 * SECOND)) else { panic!("quiet for 10 s") };
        assert_eq!(run.case, large);
    }

    #[test]
    fn a_word_of_a_person_publishes_the_order_anew_and_the_same_word_does_not() {
        let mut staging = staging();
        let case = staging.take_in(received("1", "1.1", "a", 1, 1), Mono(0));
        drain_small(&mut staging);
        staging.prioritise(&case, Some(Class::Stat), Some(Phi::new("fall".into()))).unwrap();
        assert_eq!(staging.next(Mono(0)), Next::Task(Task::Order(case)));
        publish(&mut staging, &case);
        staging.prioritise(&case, Some(Class::Stat), Some(Phi::new("fall".into()))).unwrap();
        assert_ne!(staging.next(Mono(0)), Next::Task(Task::Order(case)));
    }

    #[test]
    fn a_word_said_while_an_order_is_being_published_is_published_too() {
        let mut staging = staging();
        let case = staging.take_in(received("1", "1.1", "a", 1, 1), Mono(0));
        let (_, being_published) = crate::order::details(staging.case(&case).unwrap());
        staging.prioritise(&case, Some(Class::Stat), Some(Phi::new("fall".into()))).unwrap();
        staging.order_made(&case, being_published);
        assert_eq!(staging.next(Mono(0)), Next::Task(Task::Order(case)));
    }

    #[test]
    fn after_a_crash_a_sealed_part_is_announced_and_not_packed_again() {
        let mut before = staging();
        let case = before.take_in(received("1", "1.1", "a", 1, 1), Mono(0));
        drain_small(&mut before);
        let Next::Task(Task::Part(run)) = before.next(Mono(10 * SECOND)) else { panic!("quiet for 10 s") };
        let (manifest, sealed) = part(case, &run, &before);
        let mut after = staging();
        after.restore_study(before.case(&case).unwrap().record.clone(), Mono(0));
        after.add_part(manifest, sealed);
        after.take_in(received("1", "1.1", "a", 1, 1), Mono(0));
        assert_eq!(after.next(Mono(0)), Next::Task(Task::Announce(case, manifest)));
        after.announced(&manifest);
        assert!(after.case(&case).unwrap().is_packed());
        assert_eq!(after.judge(&received("1", "1.1", "a", 1, 1)), Novelty::Duplicate);
    }

    #[test]
    fn a_late_part_announced_before_a_crash_is_closed_after_it() {
        let mut before = staging();
        let case = before.take_in(received("1", "1.1", "a", 1, 1), Mono(0));
        let parts = |staging: &Staging| staging.case(&case).unwrap().parts.clone();
        drain(&mut before, Mono(60 * SECOND));
        let record = before.case(&case).unwrap().record.clone();
        before.take_in(received("1", "1.1", "b", 2, 2), Mono(70 * SECOND));
        drain(&mut before, Mono(80 * SECOND));
        let mut after = staging();
        after.restore_study(record, Mono(0));
        parts(&before).into_iter().for_each(|(manifest, part)| after.add_part(manifest, part));
        assert_eq!(drain(&mut after, Mono(0)).last().unwrap(), "close");
    }

    #[test]
    fn a_case_that_fails_waits_longer_each_time_and_the_others_go_on() {
        let mut staging = staging();
        let failing = staging.take_in(received("1", "1.1", "a", 1, 1), Mono(0));
        staging.prioritise(&failing, Some(Class::Stat), None).unwrap();
        let other = staging.take_in(received("2", "2.1", "b", 1, 1), Mono(0));
        let order = Task::Order(failing);
        assert_eq!(staging.next(Mono(0)), Next::Task(order.clone()));
        let mut waited = Vec::new();
        let mut now = Mono(0);
        for _ in 0..8 {
            staging.failed(&order, "no room".into(), now);
            let until = staging.case(&failing).unwrap().waits(now).unwrap();
            waited.push(until.since(now).0 / SECOND);
            now = until;
        }
        assert_eq!(waited, [2, 4, 8, 16, 32, 64, 64, 64]);
        staging.failed(&order, "no room".into(), Mono(0));
        assert_eq!(staging.next(Mono(0)), Next::Task(Task::Order(other)));
        assert_eq!(staging.next(now), Next::Task(order.clone()));
        staging.succeeded(&Task::Preview(failing));
        assert!(staging.case(&failing).unwrap().trouble.is_some(), "another step's success mends nothing");
        staging.succeeded(&order);
        assert!(staging.case(&failing).unwrap().trouble.is_none());
    }

    #[test]
    fn instances_of_a_damaged_part_are_missed_until_they_are_sent_again_and_then_the_study_names_it_no_more() {
        let mut staging = staging();
        let case = staging.take_in(received("1", "1.1", "a", 1, 1), Mono(0));
        staging.take_in(received("1", "1.1", "b", 2, 2), Mono(0));
        drain(&mut staging, Mono(60 * SECOND));
        let damaged = *staging.case(&case).unwrap().parts.keys().next().unwrap();
        staging.part_damaged(&damaged);
        let seen = |staging: &Staging| {
            let case = staging.case(&case).unwrap();
            (case.lost(), case.named_parts().any(|(manifest, _)| *manifest == damaged))
        };
        assert_eq!(seen(&staging), (2, true));
        assert_eq!(staging.judge(&received("1", "1.1", "a", 1, 1)), Novelty::New);
        staging.take_in(received("1", "1.1", "a", 1, 1), Mono(61 * SECOND));
        assert_eq!(seen(&staging), (1, true), "the Study may not be called delivered without the other one");
        staging.take_in(received("1", "1.1", "b", 2, 2), Mono(61 * SECOND));
        assert_eq!(seen(&staging), (0, false));
    }

    #[test]
    fn a_study_sent_again_is_no_new_case_and_gives_no_work() {
        let mut staging = staging();
        let case = staging.take_in(received("1", "1.1", "a", 1, 1), Mono(0));
        drain(&mut staging, Mono(60 * SECOND));
        let again = received("1\0", "1.1", "a", 1, 1);
        assert_eq!(staging.case_of(&again.study), case);
        assert_eq!(staging.judge(&again), Novelty::Duplicate);
    }
}

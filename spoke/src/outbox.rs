//! The outbox: what has left the clinic, what waits, and in which place.
//!
//! Nothing is stored for it: it is a view of what staging holds and of what the worklist says others have signed for.
//! So it can't disagree with them, and "sent" is never shown for what nobody holds.

use crate::{
    ledger::Ledger,
    listing::{StudyLine, case_short},
    staging::{Assembly, Case, PartStep},
};
use radmesh_codec::scan::Fact;
use radmesh_protocol::{
    class::Class,
    id::{CaseId, ManifestId, NodeId},
    time::Wall,
    worklist::item::{CustodyState, WorklistItem},
};
use std::collections::BTreeMap;

/// What others hold of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Away {
    pub(crate) custody: CustodyState,
    /// Sealed bytes that the next hop has, durable, of each parcel announced.
    pub(crate) acknowledged: BTreeMap<ManifestId, u64>,
}

impl Away {
    /// From the worklist: a parcel for which the home hub or any custodian has signed counts as a whole. `under_way` is
    /// what the transfer machine knows of the others.
    pub(crate) fn of(item: &WorklistItem, under_way: impl Fn(&ManifestId) -> u64) -> Self {
        let acknowledged = item.parcels.iter().map(|(manifest, parcel)| {
            let bytes = if parcel.receipts.is_empty() {
                under_way(manifest).min(parcel.sealed_bytes)
            } else {
                parcel.sealed_bytes
            };
            (*manifest, bytes)
        });
        Self { custody: item.custody, acknowledged: acknowledged.collect() }
    }
}

/// The studies of this spoke, the most urgent and oldest that waits first, then the delivered ones, newest first.
pub(crate) fn studies(ledger: &Ledger, me: &NodeId, away: &BTreeMap<CaseId, Away>) -> Vec<StudyLine> {
    let mut lines = ledger.each_case(|case| {
        let away = away.get(&case.id);
        (place(case, away), line(case, me, away))
    });
    lines.sort_by_key(|(place, _)| *place);
    let mut waiting = 0;
    let numbered = lines.into_iter().map(|(_, mut line)| {
        if !line.delivered {
            waiting += 1;
            line.place = Some(waiting);
        }
        line
    });
    numbered.collect()
}

/// What keeps single cases from leaving, in one sentence.
pub(crate) fn stuck(ledger: &Ledger) -> Option<String> {
    let stuck = ledger.each_case(|case| case.trouble.as_ref().map(|trouble| (case.id, trouble.why.clone())));
    let stuck: Vec<_> = stuck.into_iter().flatten().collect();
    let (case, why) = stuck.first()?;
    Some(format!(
        "{} of the cases here are stuck and tried again by themselves; {}: {why}",
        stuck.len(),
        case_short(case)
    ))
}

fn place(case: &Case, away: Option<&Away>) -> (bool, Class, Wall, CaseId) {
    let delivered = custody(case, away) != CustodyState::Sending;
    let at = case.record.first_at;
    if delivered {
        (true, Class::Control, Wall(u64::MAX - at.0), case.id)
    } else {
        (false, case.record.class, at, case.id)
    }
}

/// What others have signed for, of all that is here. Their word is about the last `StudyClosed`: an Instance that came
/// since is in nobody else's hands until the Study is closed anew.
fn custody(case: &Case, away: Option<&Away>) -> CustodyState {
    let all_told = case.assembly == Assembly::Closed && case.is_packed();
    away.filter(|_| all_told).map_or(CustodyState::Sending, |away| away.custody)
}

fn line(case: &Case, me: &NodeId, away: Option<&Away>) -> StudyLine {
    let told = |fact| case.record.sayings.shown(fact).to_owned();
    let series = case.series();
    let mut modalities: Vec<String> = series.values().map(|seen| seen.modality.clone()).collect();
    modalities.sort_unstable();
    modalities.dedup();
    let sealed_bytes = case.named_parts().map(|(_, part)| part.sealed.sealed_bytes).sum();
    let acknowledged = case.named_parts().filter_map(|(manifest, _)| away?.acknowledged.get(manifest)).sum();
    let custody = custody(case, away);
    let announced = case.parts.values().filter(|part| part.step == PartStep::Announced).count();
    StudyLine {
        case: case.id.to_string(),
        case_short: case_short(&case.id),
        site: me.to_string(),
        closed: case.assembly == Assembly::Closed,
        class: case.record.class.to_string(),
        patient_name: told(Fact::PatientName),
        patient_id: told(Fact::PatientId),
        study_date: told(Fact::StudyDate),
        study_description: told(Fact::StudyDescription),
        modalities,
        series: series.len(),
        instances: case.instances(),
        bytes: series.values().map(|seen| seen.bytes).sum(),
        staged_bytes: case.staged_bytes(),
        conflicting: case.conflicting(),
        damaged: case.damaged(),
        stored: case.stored(),
        lost: case.lost(),
        parcels: announced,
        sealed_bytes,
        delivered_bytes: acknowledged,
        delivered: custody != CustodyState::Sending,
        safe: custody == CustodyState::Safe,
        place: None,
        state: state(case, custody, sealed_bytes, acknowledged),
        received_ms: case.record.first_at.0,
    }
}

/// How it stands: what a person must look at first, then how far it got.
fn state(case: &Case, custody: CustodyState, sealed: u64, acknowledged: u64) -> String {
    let (lost, conflicting, damaged) = (case.lost(), case.conflicting(), case.damaged());
    let counted = |count: usize, one: &str, more: &str| match count {
        0 => None,
        1 => Some(format!("1 Instance {one}")),
        _ => Some(format!("{count} Instances {more}")),
    };
    let lost = counted(
        lost,
        "was damaged on this disk: send the Study again",
        "were damaged on this disk: send the Study again",
    );
    let different = "came twice with different content: a person must look";
    let conflicting = counted(conflicting, different, different);
    let damaged = counted(
        damaged,
        "ends early or is malformed: kept as it came",
        "end early or are malformed: kept as they came",
    );
    let as_received = "sent as received, because the coder failed on";
    let (one, more) = (format!("is {as_received} it"), format!("are {as_received} them"));
    let stored = counted(case.stored(), &one, &more);
    let progress = Some(progress(case, custody, sealed, acknowledged));
    [lost, conflicting, damaged, stored, progress].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn progress(case: &Case, custody: CustodyState, sealed: u64, acknowledged: u64) -> String {
    if let Some(trouble) = &case.trouble {
        return format!("stuck and tried again by itself, {} times so far: {}", trouble.times, trouble.why);
    }
    match (case.assembly, custody) {
        (Assembly::Closed, CustodyState::Safe) => "safe: two hospitals have signed for every byte".into(),
        (Assembly::Closed, CustodyState::Delivered) => "delivered: the home hub has signed for every byte".into(),
        (Assembly::Receiving { .. }, _) => format!("receiving; {} Instances wait to be sealed", case.staged.len()),
        (Assembly::Complete, _) if case.staged.is_empty() => "complete; its last parcels are being announced".into(),
        (Assembly::Complete, _) => format!("complete; {} Instances wait to be sealed", case.staged.len()),
        (Assembly::Closed, CustodyState::Sending) if sealed > 0 && acknowledged >= sealed => {
            "all bytes are with the next hop; the home hub's receipt is awaited".into()
        }
        (Assembly::Closed, CustodyState::Sending) => {
            format!("sending: {acknowledged} of {sealed} bytes are with the next hop")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staging::{ReceivedInstance, Trace, Wholeness, tests::received};
    use radmesh_protocol::{
        envelope::{at_rest::AtRestKey, sign::SigningKey},
        time::Mono,
    };

    fn take_in(case: &mut Case, instance: ReceivedInstance) {
        let trace = Trace::of(&instance, &AtRestKey::from_bytes(&[4; 32]));
        case.take_in(instance, trace, Mono(0));
    }

    fn shown(case: &Case, custody: CustodyState) -> StudyLine {
        let away = Away { custody, acknowledged: BTreeMap::new() };
        line(case, &SigningKey::from_seed([2; 32]).node_id(), Some(&away))
    }

    fn closed() -> Case {
        let mut case = Case::first(CaseId([1; 32]), &received("1.9", "1.9.1", "1", 1, 1), Mono(0));
        case.record.close(0);
        case.assembly = Assembly::Closed;
        case
    }

    #[test]
    fn a_delivered_case_is_not_delivered_while_what_came_since_waits() {
        let mut case = closed();
        assert!(shown(&case, CustodyState::Safe).delivered && shown(&case, CustodyState::Safe).safe);
        take_in(&mut case, received("1.9", "1.9.1", "2", 2, 2));
        let line = shown(&case, CustodyState::Safe);
        assert!(!line.delivered && !line.safe, "an Instance waits to be sealed");
        assert!(line.state.contains("1 Instances wait to be sealed"), "{}", line.state);
        case.staged.clear();
        case.assembly = Assembly::Complete;
        let line = shown(&case, CustodyState::Delivered);
        assert!(!line.delivered && line.state.contains("being announced"), "{}", line.state);
        case.assembly = Assembly::Closed;
        let line = shown(&case, CustodyState::Sending);
        assert!(!line.delivered, "the late parcel is not signed for");
        assert!(shown(&case, CustodyState::Delivered).delivered);
    }

    #[test]
    fn what_a_person_must_look_at_is_said_first_and_in_words() {
        let mut case = closed();
        take_in(&mut case, received("1.9", "1.9.1", "1", 1, 1));
        take_in(&mut case, received("1.9", "1.9.1", "1", 2, 2));
        let state = shown(&case, CustodyState::Delivered).state;
        assert!(state.starts_with("1 Instance came twice with different content: a person must look; "), "{state}");
        let cut = ReceivedInstance { wholeness: Wholeness::Damaged, ..received("1.9", "1.9.1", "3", 3, 3) };
        let mut case = closed();
        take_in(&mut case, cut);
        let state = shown(&case, CustodyState::Delivered).state;
        assert!(state.starts_with("1 Instance ends early or is malformed: kept as it came; receiving"), "{state}");
    }
}

//! The answer to an association request: rejected with a reason, or accepted context by context.
//!
//! A technician at a modality sees nothing but this answer, so each refusal carries the code of PS3.8 section 9.3.4
//! that names what to mend. The rule: a context that can't be taken is refused alone and never costs the others.

use super::{CalledAe, Config, Sender, Verdict};
use crate::{AeTitle, SopClassUid, TransferSyntax, transfer_syntax::choose, wire::ASSOCIATE_BYTES_MAX};
use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason as AcseReason,
    AssociationRJServiceProviderPresentationReason as PresentationReason, AssociationRJServiceUserReason as UserReason,
    AssociationRJSource, AssociationRQ, Pdu, PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason as ContextReason, UserVariableItem,
};
use std::{collections::BTreeMap, net::IpAddr};

/// Names this implementation to a peer (PS3.7 annex D.3.3.2); under the UUID root, made once for radmesh.
pub(crate) const IMPLEMENTATION_CLASS_UID: &str = "2.25.222069306026473744787796105000702515476";
/// At most 16 characters.
pub(crate) const IMPLEMENTATION_VERSION_NAME: &str = concat!("RADMESH_", env!("CARGO_PKG_VERSION"));
/// Presentation contexts of one association at most: their ids are the odd numbers of a byte (PS3.8 section 9.3.2.2).
pub(crate) const CONTEXTS_MAX: usize = 128;
/// Bit 0 of the protocol version: the only version there is (PS3.8 section 9.3.2).
pub(crate) const PROTOCOL_VERSION: u16 = 1;

const _: () = assert!(IMPLEMENTATION_VERSION_NAME.len() <= 16 && IMPLEMENTATION_CLASS_UID.len() <= 64);
const _: () = assert!(CONTEXTS_MAX * 20 * 32 < ASSOCIATE_BYTES_MAX as usize);

/// Why an association is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejection {
    /// A protocol version other than 1.
    #[error("protocol version not supported")]
    ProtocolVersion,
    /// Not DICOM's application context.
    #[error("application context not supported")]
    ApplicationContext,
    /// The called AE title is not ours, or is no AE title.
    #[error("called AE title not recognized")]
    CalledAe,
    /// The calling AE title is refused, or is no AE title.
    #[error("calling AE title not recognized")]
    CallingAe,
    /// More than 128 presentation contexts, an even id, or one id twice.
    #[error("presentation contexts break PS3.8")]
    Contexts,
    /// Every seat is taken; the peer may try again.
    #[error("temporary congestion")]
    Busy,
    /// Every seat for this address is taken; the peer may try again.
    #[error("local limit exceeded")]
    PeerBusy,
}

impl Rejection {
    /// The A-ASSOCIATE-RJ PDU with result, source and reason of PS3.8 table 9-21.
    #[must_use]
    pub const fn pdu(self) -> Pdu {
        let (result, source) = match self {
            Self::ProtocolVersion => (
                AssociationRJResult::Permanent,
                AssociationRJSource::ServiceProviderASCE(AcseReason::ProtocolVersionNotSupported),
            ),
            Self::ApplicationContext => (
                AssociationRJResult::Permanent,
                AssociationRJSource::ServiceUser(UserReason::ApplicationContextNameNotSupported),
            ),
            Self::CalledAe => (
                AssociationRJResult::Permanent,
                AssociationRJSource::ServiceUser(UserReason::CalledAETitleNotRecognized),
            ),
            Self::CallingAe => (
                AssociationRJResult::Permanent,
                AssociationRJSource::ServiceUser(UserReason::CallingAETitleNotRecognized),
            ),
            Self::Contexts => {
                (AssociationRJResult::Permanent, AssociationRJSource::ServiceProviderASCE(AcseReason::NoReasonGiven))
            }
            Self::Busy => (
                AssociationRJResult::Transient,
                AssociationRJSource::ServiceProviderPresentation(PresentationReason::TemporaryCongestion),
            ),
            Self::PeerBusy => (
                AssociationRJResult::Transient,
                AssociationRJSource::ServiceProviderPresentation(PresentationReason::LocalLimitExceeded),
            ),
        };
        Pdu::AssociationRJ(AssociationRJ { result, source })
    }
}

/// An accepted association: who, and what was agreed.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Who asked.
    pub sender: Sender,
    /// What the caller decided about it.
    pub verdict: Verdict,
    /// The accepted contexts, by id: SOP Class and transfer syntax.
    pub contexts: BTreeMap<u8, (SopClassUid, TransferSyntax)>,
    /// Bytes of a P-DATA-TF PDU that the peer takes; 0: any.
    pub peer_pdu_bytes: u32,
    /// The A-ASSOCIATE-AC to send.
    pub answer: AssociationAC,
}

/// Decides about an association request from `address`. `judge` is asked last, when everything else is in order.
///
/// # Errors
/// Why it is rejected.
pub fn negotiate(
    request: AssociationRQ,
    address: IpAddr,
    config: &Config,
    judge: impl FnOnce(&Sender) -> Verdict,
) -> Result<Accepted, Rejection> {
    if request.protocol_version & PROTOCOL_VERSION == 0 {
        return Err(Rejection::ProtocolVersion);
    }
    if request.application_context_name.trim_end_matches(['\0', ' ']) != uids::DICOM_APPLICATION_CONTEXT {
        return Err(Rejection::ApplicationContext);
    }
    let called_ae = AeTitle::parse(&request.called_ae_title).map_err(|_| Rejection::CalledAe)?;
    let calling_ae = AeTitle::parse(&request.calling_ae_title).map_err(|_| Rejection::CallingAe)?;
    match &config.called {
        CalledAe::Only(ours) if *ours != called_ae => return Err(Rejection::CalledAe),
        CalledAe::Only(_) | CalledAe::Any => {}
    }
    let proposed = request.presentation_contexts;
    let ids: std::collections::BTreeSet<u8> = proposed.iter().map(|context| context.id).collect();
    if proposed.len() > CONTEXTS_MAX || ids.len() != proposed.len() || ids.iter().any(|id| id % 2 == 0) {
        return Err(Rejection::Contexts);
    }
    let sender = Sender { calling_ae, called_ae, address };
    let verdict = judge(&sender);
    if verdict == Verdict::Refused {
        return Err(Rejection::CallingAe);
    }
    let (mut contexts, mut results) = (BTreeMap::new(), Vec::with_capacity(proposed.len()));
    for context in proposed {
        let (reason, transfer_syntax) = match agree(&context, config) {
            Ok((class, syntax)) => {
                contexts.insert(context.id, (class, syntax.clone()));
                (ContextReason::Acceptance, syntax.as_str().to_owned())
            }
            // Not significant in a refused context, but the item is not optional (PS3.8 section 9.3.3.2).
            Err(reason) => (reason, uids::IMPLICIT_VR_LITTLE_ENDIAN.to_owned()),
        };
        results.push(PresentationContextResult { id: context.id, reason, transfer_syntax });
    }
    let peer_pdu_bytes = peer_pdu_bytes(&request.user_variables);
    let answer = AssociationAC {
        protocol_version: PROTOCOL_VERSION,
        calling_ae_title: request.calling_ae_title,
        called_ae_title: request.called_ae_title,
        application_context_name: uids::DICOM_APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: results,
        user_variables: user_variables(config.limits.pdu_bytes()),
    };
    Ok(Accepted { sender, verdict, contexts, peer_pdu_bytes, answer })
}

/// The SOP Class and transfer syntax of one context, or why it is refused.
fn agree(
    context: &PresentationContextProposed,
    config: &Config,
) -> Result<(SopClassUid, TransferSyntax), ContextReason> {
    let class = SopClassUid::parse(&context.abstract_syntax).map_err(|_| ContextReason::AbstractSyntaxNotSupported)?;
    if class.as_str() != uids::VERIFICATION && !config.sop_classes.takes(&class) {
        return Err(ContextReason::AbstractSyntaxNotSupported);
    }
    let syntax = choose(&context.transfer_syntaxes).ok_or(ContextReason::TransferSyntaxesNotSupported)?;
    Ok((class, syntax))
}

/// What the peer said it takes; a peer that says nothing takes any length.
pub(crate) fn peer_pdu_bytes(variables: &[UserVariableItem]) -> u32 {
    let said = variables.iter().find_map(|item| match item {
        UserVariableItem::MaxLength(bytes) => Some(*bytes),
        _ => None,
    });
    said.unwrap_or(0)
}

/// What we say of ourselves.
pub(crate) fn user_variables(pdu_bytes: u32) -> Vec<UserVariableItem> {
    vec![
        UserVariableItem::MaxLength(pdu_bytes),
        UserVariableItem::ImplementationClassUID(IMPLEMENTATION_CLASS_UID.to_owned()),
        UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION_NAME.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> AssociationRQ {
        let context = |id, class: &str, syntaxes: &[&str]| PresentationContextProposed {
            id,
            abstract_syntax: class.to_owned(),
            transfer_syntaxes: syntaxes.iter().map(|uid| (*uid).to_owned()).collect(),
        };
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "CT1".to_owned(),
            called_ae_title: "RADMESH".to_owned(),
            application_context_name: uids::DICOM_APPLICATION_CONTEXT.to_owned(),
            presentation_contexts: vec![
                context(1, uids::VERIFICATION, &[uids::IMPLICIT_VR_LITTLE_ENDIAN]),
                context(3, uids::CT_IMAGE_STORAGE, &[uids::JPEG_LOSSLESS_SV1, uids::EXPLICIT_VR_LITTLE_ENDIAN]),
                context(5, uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND, &[uids::IMPLICIT_VR_LITTLE_ENDIAN]),
                context(7, uids::MR_IMAGE_STORAGE, &["1.2.3"]),
            ],
            user_variables: vec![UserVariableItem::MaxLength(16_384)],
        }
    }

    fn ask(request: AssociationRQ, verdict: Verdict) -> Result<Accepted, Rejection> {
        let config = Config::new(AeTitle::parse("RADMESH").unwrap());
        negotiate(request, IpAddr::from([127, 0, 0, 1]), &config, |_| verdict)
    }

    #[test]
    fn a_context_that_cannot_be_taken_never_costs_the_others() {
        let accepted = ask(request(), Verdict::Quarantined).unwrap();
        assert_eq!(accepted.contexts.keys().copied().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(accepted.contexts[&3].1.as_str(), uids::JPEG_LOSSLESS_SV1);
        let reasons: Vec<_> = accepted.answer.presentation_contexts.into_iter().map(|c| c.reason).collect();
        use ContextReason::{AbstractSyntaxNotSupported, Acceptance, TransferSyntaxesNotSupported};
        assert_eq!(reasons, [Acceptance, Acceptance, AbstractSyntaxNotSupported, TransferSyntaxesNotSupported]);
        assert_eq!((accepted.verdict, accepted.peer_pdu_bytes), (Verdict::Quarantined, 16_384));
    }

    #[test]
    fn each_refusal_names_what_to_mend() {
        let with = |change: fn(&mut AssociationRQ)| {
            let mut request = request();
            change(&mut request);
            ask(request, Verdict::Accepted).unwrap_err()
        };
        assert_eq!(with(|r| r.protocol_version = 2), Rejection::ProtocolVersion);
        assert_eq!(with(|r| r.application_context_name = "1.2".into()), Rejection::ApplicationContext);
        assert_eq!(with(|r| r.called_ae_title = "OTHER".into()), Rejection::CalledAe);
        assert_eq!(with(|r| r.calling_ae_title = "CT\u{1b}[2J".into()), Rejection::CallingAe);
        assert_eq!(with(|r| r.presentation_contexts[1].id = 1), Rejection::Contexts);
        assert_eq!(with(|r| r.presentation_contexts[1].id = 2), Rejection::Contexts);
        assert_eq!(ask(request(), Verdict::Refused).unwrap_err(), Rejection::CallingAe);
    }
}

//! The transfer syntaxes a node takes, and which one of a proposal.
//!
//! An image that is transcoded on its way in is another image than the modality made. The rule of
//! [`choose`]: the sender's own order decides, because it is the only thing it says about the form it holds, and
//! many modalities list first what is on their disk (DCMTK's storescu relies on it). One exception: Explicit VR
//! Little Endian goes before Implicit VR Little Endian wherever it stands, because Implicit drops the VR of
//! private elements and nobody can put it back, while between these two no pixel changes. PS3.8 section 9.3.2,
//! PS3.5 section 10.

use crate::TransferSyntax;
use dicom_dictionary_std::uids;

/// Every transfer syntax taken, whatever the SOP Class; each is stored as received.
#[expect(deprecated, reason = "Explicit VR Big Endian is retired, and still what old machines send")]
pub const TAKEN: [&str; 20] = [
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    uids::EXPLICIT_VR_BIG_ENDIAN,
    uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    uids::JPEG_BASELINE8_BIT,
    uids::JPEG_EXTENDED12_BIT,
    uids::JPEG_LOSSLESS,
    uids::JPEG_LOSSLESS_SV1,
    uids::JPEGLS_LOSSLESS,
    uids::JPEGLS_NEAR_LOSSLESS,
    uids::JPEG2000_LOSSLESS,
    uids::JPEG2000,
    uids::RLE_LOSSLESS,
    uids::HTJ2K_LOSSLESS,
    uids::HTJ2K_LOSSLESS_RPCL,
    uids::HTJ2K,
    uids::MPEG2MPML,
    uids::MPEG2MPHL,
    uids::MPEG4HP41,
    uids::MPEG4HP41BD,
];

/// The transfer syntax to accept out of one proposed presentation context, or `None` if none is taken here.
#[must_use]
pub fn choose(proposed: &[String]) -> Option<TransferSyntax> {
    let taken = || proposed.iter().map(|uid| uid.trim_end_matches('\0')).filter(|uid| TAKEN.contains(uid));
    let first = taken().next()?;
    let kept = match taken().find(|uid| *uid == uids::EXPLICIT_VR_LITTLE_ENDIAN) {
        Some(explicit) if first == uids::IMPLICIT_VR_LITTLE_ENDIAN => explicit,
        _ => first,
    };
    TransferSyntax::parse(kept).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(proposed: &[&str]) -> Option<String> {
        let proposed: Vec<String> = proposed.iter().map(|uid| (*uid).to_owned()).collect();
        choose(&proposed).map(|uid| uid.as_str().to_owned())
    }

    #[test]
    fn what_the_sender_names_first_is_kept() {
        let jpeg_first = [uids::JPEG_LOSSLESS_SV1, uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN];
        assert_eq!(chosen(&jpeg_first).as_deref(), Some(uids::JPEG_LOSSLESS_SV1));
        let raw_first = [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::JPEG_BASELINE8_BIT];
        assert_eq!(chosen(&raw_first).as_deref(), Some(uids::EXPLICIT_VR_LITTLE_ENDIAN));
    }

    #[test]
    fn explicit_goes_before_implicit_so_private_elements_keep_their_vr() {
        let both = [uids::IMPLICIT_VR_LITTLE_ENDIAN, uids::EXPLICIT_VR_LITTLE_ENDIAN];
        assert_eq!(chosen(&both).as_deref(), Some(uids::EXPLICIT_VR_LITTLE_ENDIAN));
    }

    #[test]
    fn a_syntax_nobody_here_knows_is_passed_over() {
        assert_eq!(chosen(&["1.2.3.4", uids::RLE_LOSSLESS]).as_deref(), Some(uids::RLE_LOSSLESS));
        assert_eq!(chosen(&["1.2.3.4"]), None);
        assert_eq!(chosen(&[]), None);
    }
}

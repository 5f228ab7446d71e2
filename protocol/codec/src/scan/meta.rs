//! The start of a file: preamble, `DICM`, file meta information, and in which layout the data set follows.
//!
//! Old archives and cheap devices leave out each of these, so none is required (PS3.10 section 7); a file is told by
//! its first bytes. A declared transfer syntax that the first element plainly contradicts is not believed.

use super::{
    Flaw, Form, MetaForm, Origin, Preamble, ScanError,
    element::{self, Layout, Length},
    input::{Input, Stop},
};
use crate::{limits::VALUE_BYTES_KEPT_MAX, uid::TransferSyntax};

pub(super) const IMPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";
pub(super) const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
pub(super) const EXPLICIT_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
/// Deflated Explicit VR, JPIP Referenced Deflate, JPIP HTJ2K Referenced Deflate.
const DEFLATED: [&str; 3] = ["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"];

const META_GROUP: u16 = 0x0002;
const META_LENGTH: u32 = 0x0002_0000;
const META_TRANSFER_SYNTAX: u32 = 0x0002_0010;

/// What stood before the data set, and how the data set is to be read.
pub(super) struct DataSet {
    pub(super) layout: Layout,
    pub(super) deflated: bool,
}

/// Takes everything before the data set.
pub(super) fn open(input: &mut Input<'_>, form: &Form) -> Result<(Origin, DataSet), ScanError> {
    let mut declared = None;
    let (mut preamble, mut meta) = (Preamble::Absent, MetaForm::Absent);
    match form {
        Form::DataSet { transfer_syntax } => declared = Some(transfer_syntax.clone()),
        Form::File => {
            preamble = take_preamble(input).map_err(refusal)?;
            let start = input.position();
            if peeks_group(input, META_GROUP).map_err(refusal)? {
                declared = take_meta(input).map_err(refusal)?;
                meta = MetaForm::At(start..input.position());
            }
        }
    }
    let deflated = declared.as_ref().is_some_and(|syntax| DEFLATED.contains(&syntax.as_str()));
    let start = input.position();
    let shown = if deflated { Some(Layout::Explicit) } else { sniff(input, declared.as_ref()).map_err(refusal)? };
    let bare = preamble == Preamble::Absent && meta == MetaForm::Absent;
    let Some(layout) = shown.filter(|_| !bare || *form != Form::File || starts_as_data_set(input, shown)) else {
        return Err(ScanError::NotDicom);
    };
    let transfer_syntax = declared.filter(|said| may_stand(said, layout)).unwrap_or_else(|| syntax_of(layout));
    Ok((Origin { preamble, meta, data_set: start, transfer_syntax }, DataSet { layout, deflated }))
}

/// A stop before the data set: nothing was found, so nothing can be taken in.
fn refusal(stop: Stop) -> ScanError {
    match stop {
        Stop::Refused(error) => error,
        Stop::Ended | Stop::Flawed(_) => ScanError::NotDicom,
    }
}

fn take_preamble(input: &mut Input<'_>) -> Result<Preamble, Stop> {
    let head = input.peek(132)?;
    if head.get(128..) != Some(b"DICM") {
        return Ok(Preamble::Absent);
    }
    let preamble = match &head[..128] {
        zeros if zeros.iter().all(|b| *b == 0) => Preamble::Zero,
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Preamble::Tiff,
        _ => Preamble::Other,
    };
    input.skip(132)?;
    Ok(preamble)
}

fn peeks_group(input: &mut Input<'_>, group: u16) -> Result<bool, Stop> {
    Ok(input.peek(2)? == group.to_le_bytes())
}

/// Takes group 0002, explicit VR little endian, to its declared length or, without one, to the next group.
fn take_meta(input: &mut Input<'_>) -> Result<Option<TransferSyntax>, Stop> {
    let (mut declared, mut end) = (None, None);
    while end != Some(input.position()) && peeks_group(input, META_GROUP)? {
        let head = element::take_head(input, Layout::Explicit)?;
        let Length::Bytes(length) = head.length else {
            return Err(Stop::Flawed(Flaw::Undefined));
        };
        let value = input.keep(length, VALUE_BYTES_KEPT_MAX)?;
        match head.tag {
            META_LENGTH => {
                end = <[u8; 4]>::try_from(value).ok().map(|v| input.position() + u64::from(u32::from_le_bytes(v)));
            }
            META_TRANSFER_SYNTAX => declared = TransferSyntax::parse(&value).ok(),
            _ => {}
        }
    }
    Ok(declared)
}

/// The layout of the data set: the declared one, unless its first element shows the other VR form.
fn sniff(input: &mut Input<'_>, declared: Option<&TransferSyntax>) -> Result<Option<Layout>, Stop> {
    let head = input.peek(6)?;
    let [a, b, _, _, vr @ ..] = head else {
        return Ok(declared.map(layout_of));
    };
    let explicit = element::is_known_vr(vr);
    let big_endian = match declared {
        Some(syntax) => syntax.as_str() == EXPLICIT_BIG_ENDIAN,
        // No group of the standard that a data set starts with is 0400 or above, so high bytes first it is.
        None => u16::from_le_bytes([*a, *b]) >= 0x0400,
    };
    Ok(Some(match (explicit, big_endian) {
        (true, true) => Layout::ExplicitBigEndian,
        (true, false) => Layout::Explicit,
        (false, _) => Layout::Implicit,
    }))
}

/// Whether the first element of a file with neither preamble nor meta could be a data set's: explicit VR, or a group
/// up to 0010.
fn starts_as_data_set(input: &mut Input<'_>, layout: Option<Layout>) -> bool {
    let (Some(layout), Ok([a, b, _, _, _, _])) = (layout, input.peek(6)) else {
        return false;
    };
    layout != Layout::Implicit || (1..=0x0010).contains(&layout.u16([*a, *b]))
}

/// Whether to believe a declared transfer syntax. One that also says how pixels are compressed is right about that
/// even where the elements are laid out otherwise, and of a private one only its maker knows.
fn may_stand(declared: &TransferSyntax, layout: Layout) -> bool {
    let only_says_layout = [IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN];
    layout_of(declared) == layout || !only_says_layout.contains(&declared.as_str())
}

fn layout_of(syntax: &TransferSyntax) -> Layout {
    match syntax.as_str() {
        IMPLICIT_LITTLE_ENDIAN => Layout::Implicit,
        EXPLICIT_BIG_ENDIAN => Layout::ExplicitBigEndian,
        _ => Layout::Explicit,
    }
}

fn syntax_of(layout: Layout) -> TransferSyntax {
    let uid = match layout {
        Layout::Implicit => IMPLICIT_LITTLE_ENDIAN,
        Layout::Explicit => EXPLICIT_LITTLE_ENDIAN,
        Layout::ExplicitBigEndian => EXPLICIT_BIG_ENDIAN,
    };
    TransferSyntax::parse(uid).expect("UIDs of the standard are UIDs")
}

//! DIMSE command sets: group 0000, always Implicit VR Little Endian (PS3.7 section 6.3.1).
//!
//! The command set is what a peer says before it is trusted with anything, so it has a reader of its own: no
//! recursion, no allocation from a length, at most [`COMMAND_BYTES_MAX`] bytes. The rule: what is not understood in
//! an element that we don't use is skipped; a length that leads outside is an error.

use crate::{SopClassUid, SopInstanceUid, Status, UidError};

/// Bytes of a command set at most: a C-STORE request has about 300.
pub const COMMAND_BYTES_MAX: usize = 4 * 1024;

/// The value of (0000,0100): which operation (PS3.7 annex E.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommandField(pub u16);

impl CommandField {
    /// C-STORE-RQ.
    pub const C_STORE: Self = Self(0x0001);
    /// C-ECHO-RQ.
    pub const C_ECHO: Self = Self(0x0030);
    /// C-CANCEL-RQ.
    pub const C_CANCEL: Self = Self(0x0FFF);
    const RESPONSE_BIT: u16 = 0x8000;

    /// The response that belongs to this request.
    #[must_use]
    pub const fn response(self) -> Self {
        Self(self.0 | Self::RESPONSE_BIT)
    }

    /// Whether it answers a request.
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.0 & Self::RESPONSE_BIT != 0
    }
}

/// Whether a data set follows the command set: (0000,0800).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataSet {
    /// One follows.
    Follows,
    /// None.
    Absent,
}

/// A command set, as far as C-ECHO and C-STORE use it. An element that is absent is `None`; a UID that breaks
/// PS3.5 is kept as its error, so that the peer still gets an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSet {
    /// (0000,0100).
    pub field: CommandField,
    /// (0000,0110) in a request, (0000,0120) in a response and in C-CANCEL.
    pub message_id: u16,
    /// (0000,0700), in a C-STORE request; medium if absent.
    pub priority: Priority,
    /// (0000,0800).
    pub data_set: DataSet,
    /// (0000,0002).
    pub sop_class_uid: Option<Result<SopClassUid, UidError>>,
    /// (0000,1000).
    pub sop_instance_uid: Option<Result<SopInstanceUid, UidError>>,
    /// (0000,0900), in a response.
    pub status: Option<Status>,
    /// (0000,0902), written only.
    pub comment: &'static str,
}

/// How soon the sender wants an object to be stored (PS3.7 table 9.3-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// 2.
    Low,
    /// 0, which is what it says when nobody chose; and every other number.
    #[default]
    Medium,
    /// 1.
    High,
}

impl From<u16> for Priority {
    fn from(number: u16) -> Self {
        match number {
            1 => Self::High,
            2 => Self::Low,
            _ => Self::Medium,
        }
    }
}

impl From<Priority> for u16 {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Medium => 0,
            Priority::High => 1,
            Priority::Low => 2,
        }
    }
}

/// Why bytes are no command set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// More bytes than a command set may have.
    #[error("a command set has at most {COMMAND_BYTES_MAX} bytes; this has {bytes}")]
    TooLong {
        /// Bytes so far.
        bytes: usize,
    },
    /// An element's header or value leads past the end.
    #[error("an element of the command set ends past its end (byte {at})")]
    Truncated {
        /// Where the element begins.
        at: usize,
    },
    /// An element of another group.
    #[error("a command set holds group 0000 only; this has group {group:04X}")]
    Group {
        /// The group found.
        group: u16,
    },
    /// An element that every command set has is missing, or has no value of its type.
    #[error("element (0000,{element:04X}) of the command set is missing or broken")]
    Element {
        /// Its element number.
        element: u16,
    },
}

const GROUP_LENGTH: u16 = 0x0000;
const AFFECTED_SOP_CLASS_UID: u16 = 0x0002;
const COMMAND_FIELD: u16 = 0x0100;
const MESSAGE_ID: u16 = 0x0110;
const MESSAGE_ID_RESPONDED_TO: u16 = 0x0120;
const PRIORITY: u16 = 0x0700;
const DATA_SET_TYPE: u16 = 0x0800;
const STATUS: u16 = 0x0900;
const ERROR_COMMENT: u16 = 0x0902;
const AFFECTED_SOP_INSTANCE_UID: u16 = 0x1000;
/// (0000,0800) of a message without a data set; every other value means that one follows.
const NO_DATA_SET: u16 = 0x0101;
/// (0000,0800) as we write it when one follows.
const A_DATA_SET: u16 = 0x0000;

impl CommandSet {
    /// Reads a command set.
    ///
    /// # Errors
    /// The first rule broken; the association is of no further use then, because there is no message to answer.
    pub fn parse(bytes: &[u8]) -> Result<Self, CommandError> {
        if bytes.len() > COMMAND_BYTES_MAX {
            return Err(CommandError::TooLong { bytes: bytes.len() });
        }
        let (mut field, mut request, mut responds_to, mut data_set, mut status) = (None, None, None, None, None);
        let (mut class, mut instance, mut priority) = (None, None, None);
        let mut rest = bytes;
        while !rest.is_empty() {
            let truncated = CommandError::Truncated { at: bytes.len() - rest.len() };
            let (head, after) = rest.split_first_chunk::<8>().ok_or(truncated)?;
            let [group_low, group_high, element_low, element_high, length @ ..] = *head;
            let group = u16::from_le_bytes([group_low, group_high]);
            if group != 0 {
                return Err(CommandError::Group { group });
            }
            let length = u32::from_le_bytes(length) as usize;
            let (value, after) = after.split_at_checked(length).ok_or(truncated)?;
            rest = after;
            match u16::from_le_bytes([element_low, element_high]) {
                COMMAND_FIELD => field = number(value),
                MESSAGE_ID => request = number(value),
                MESSAGE_ID_RESPONDED_TO => responds_to = number(value),
                PRIORITY => priority = number(value),
                DATA_SET_TYPE => data_set = number(value),
                STATUS => status = number(value),
                AFFECTED_SOP_CLASS_UID => class = Some(SopClassUid::parse(value)),
                AFFECTED_SOP_INSTANCE_UID => instance = Some(SopInstanceUid::parse(value)),
                _ => {}
            }
        }
        let missing = |element| CommandError::Element { element };
        let field = CommandField(field.ok_or(missing(COMMAND_FIELD))?);
        let message_id = if field.is_response() || field == CommandField::C_CANCEL {
            responds_to.ok_or(missing(MESSAGE_ID_RESPONDED_TO))?
        } else {
            request.ok_or(missing(MESSAGE_ID))?
        };
        let data_set = match data_set.ok_or(missing(DATA_SET_TYPE))? {
            NO_DATA_SET => DataSet::Absent,
            _ => DataSet::Follows,
        };
        Ok(Self {
            field,
            message_id,
            priority: priority.map(Priority::from).unwrap_or_default(),
            data_set,
            sop_class_uid: class,
            sop_instance_uid: instance,
            status: status.map(Status),
            comment: "",
        })
    }

    /// The request to store an object.
    #[must_use]
    pub fn store_request(message_id: u16, class: SopClassUid, instance: SopInstanceUid) -> Self {
        Self {
            field: CommandField::C_STORE,
            message_id,
            priority: Priority::Medium,
            data_set: DataSet::Follows,
            sop_class_uid: Some(Ok(class)),
            sop_instance_uid: Some(Ok(instance)),
            status: None,
            comment: "",
        }
    }

    /// The request for an echo.
    #[must_use]
    pub fn echo_request(message_id: u16, class: SopClassUid) -> Self {
        Self {
            field: CommandField::C_ECHO,
            message_id,
            priority: Priority::Medium,
            data_set: DataSet::Absent,
            sop_class_uid: Some(Ok(class)),
            sop_instance_uid: None,
            status: None,
            comment: "",
        }
    }

    /// The response to this request: its UIDs again as far as they are UIDs, no data set.
    #[must_use]
    pub fn respond(&self, status: Status, comment: &'static str) -> Self {
        Self {
            field: self.field.response(),
            message_id: self.message_id,
            priority: self.priority,
            data_set: DataSet::Absent,
            sop_class_uid: self.sop_class_uid.clone().filter(Result::is_ok),
            sop_instance_uid: self.sop_instance_uid.clone().filter(Result::is_ok),
            status: Some(status),
            comment,
        }
    }

    /// The bytes, with group length, elements in rising order, values padded to even length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(256);
        if let Some(Ok(class)) = &self.sop_class_uid {
            put(&mut body, AFFECTED_SOP_CLASS_UID, class.as_str().as_bytes(), 0);
        }
        put_number(&mut body, COMMAND_FIELD, self.field.0);
        if self.field.is_response() || self.field == CommandField::C_CANCEL {
            put_number(&mut body, MESSAGE_ID_RESPONDED_TO, self.message_id);
        } else {
            put_number(&mut body, MESSAGE_ID, self.message_id);
        }
        if self.field == CommandField::C_STORE {
            put_number(&mut body, PRIORITY, self.priority.into());
        }
        put_number(
            &mut body,
            DATA_SET_TYPE,
            match self.data_set {
                DataSet::Follows => A_DATA_SET,
                DataSet::Absent => NO_DATA_SET,
            },
        );
        if let Some(status) = self.status {
            put_number(&mut body, STATUS, status.0);
        }
        if !self.comment.is_empty() {
            put(&mut body, ERROR_COMMENT, self.comment.as_bytes(), b' ');
        }
        if let Some(Ok(instance)) = &self.sop_instance_uid {
            put(&mut body, AFFECTED_SOP_INSTANCE_UID, instance.as_str().as_bytes(), 0);
        }
        let mut whole = Vec::with_capacity(body.len() + 12);
        put(&mut whole, GROUP_LENGTH, &(body.len() as u32).to_le_bytes(), 0);
        whole.append(&mut body);
        whole
    }
}

/// A US value; `None` if it is not one.
fn number(value: &[u8]) -> Option<u16> {
    value.try_into().ok().map(u16::from_le_bytes)
}

fn put_number(bytes: &mut Vec<u8>, element: u16, value: u16) {
    put(bytes, element, &value.to_le_bytes(), 0);
}

fn put(bytes: &mut Vec<u8>, element: u16, value: &[u8], padding: u8) {
    let padded = value.len().next_multiple_of(2);
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&element.to_le_bytes());
    bytes.extend_from_slice(&(padded as u32).to_le_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len() + padded - value.len(), padding);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> CommandSet {
        let class = SopClassUid::parse("1.2.840.10008.5.1.4.1.1.2").unwrap();
        CommandSet::store_request(7, class, SopInstanceUid::parse("1.2.3.4").unwrap())
    }

    #[test]
    fn a_request_survives_its_bytes() {
        assert_eq!(CommandSet::parse(&request().encode()), Ok(request()));
    }

    #[test]
    fn a_response_names_the_message_it_answers() {
        let response = request().respond(Status(0xA700), "no room");
        let read = CommandSet::parse(&response.encode()).unwrap();
        assert_eq!(read.field, CommandField(0x8001));
        assert_eq!((read.message_id, read.status, read.data_set), (7, Some(Status(0xA700)), DataSet::Absent));
    }

    #[test]
    fn the_bytes_are_those_of_the_standard() {
        let echo = CommandSet::echo_request(1, SopClassUid::parse("1.2.840.10008.1.1").unwrap());
        let expected: &[u8] = b"\0\0\0\0\x04\0\0\0\x38\0\0\0\
            \0\0\x02\0\x12\0\0\x001.2.840.10008.1.1\0\
            \0\0\0\x01\x02\0\0\0\x30\0\
            \0\0\x10\x01\x02\0\0\0\x01\0\
            \0\0\0\x08\x02\0\0\0\x01\x01";
        assert_eq!(echo.encode(), expected);
    }

    #[test]
    fn a_length_past_the_end_is_an_error() {
        let mut bytes = request().encode();
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(CommandSet::parse(&bytes), Err(CommandError::Truncated { at: 0 }));
        assert_eq!(CommandSet::parse(&[0; 7]), Err(CommandError::Truncated { at: 0 }));
    }

    #[test]
    fn a_long_command_set_is_not_read() {
        let bytes = COMMAND_BYTES_MAX + 1;
        assert_eq!(CommandSet::parse(&vec![0; bytes]), Err(CommandError::TooLong { bytes }));
    }

    #[test]
    fn a_broken_uid_still_gets_an_answer() {
        let mut bytes = request().encode();
        let at = bytes.windows(7).position(|w| w == b"1.2.3.4").unwrap();
        bytes[at] = b'/';
        let read = CommandSet::parse(&bytes).unwrap();
        assert!(matches!(read.sop_instance_uid, Some(Err(_))));
        assert_eq!(read.respond(Status(0xC000), "").sop_instance_uid, None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = CommandSet::parse(&bytes);
        }

        #[test]
        fn no_changed_byte_panics_the_parser(at in 0usize..100, byte: u8) {
            let mut bytes = request().encode();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = CommandSet::parse(&bytes);
        }
    }
}

//! Small DICOM data sets, written by hand: Explicit VR Little Endian (PS3.5 section 7.1.2).

/// One Instance of a planted patient.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) study: &'static str,
    pub(crate) series: &'static str,
    pub(crate) uid: String,
    pub(crate) number: u32,
    pub(crate) pixels: Vec<u8>,
    /// Instead of every text that an order carries.
    pub(crate) texts: Option<Vec<u8>>,
    pub(crate) sop_class: Option<&'static str>,
}

pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const PATIENT: &str = "Sentinel^Planted";

impl Instance {
    pub(crate) fn new(study: &'static str, series: &'static str, number: u32) -> Self {
        // Not all alike and not all zeros, so that a swap or a loss shows.
        let pixels = (0..4096_u32).map(|i| (i.wrapping_mul(number + 7) >> 3) as u8).collect();
        Self { study, series, uid: format!("{series}.{number}"), number, pixels, texts: None, sop_class: Some(CT) }
    }

    pub(crate) fn with_pixels(self, pixels: Vec<u8>) -> Self {
        Self { pixels, ..self }
    }

    pub(crate) fn data_set(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut put = |group: u16, number: u16, vr: &[u8; 2], value: &[u8]| {
            let mut value = value.to_vec();
            value.resize(value.len().next_multiple_of(2), if vr == b"UI" { 0 } else { b' ' });
            element(&mut out, group, number, vr, &value);
        };
        let text = |value: &str| self.texts.clone().unwrap_or_else(|| value.as_bytes().to_vec());
        put(0x0008, 0x0005, b"CS", b"ISO_IR 192");
        if let Some(class) = self.sop_class {
            put(0x0008, 0x0016, b"UI", class.as_bytes());
        }
        put(0x0008, 0x0018, b"UI", self.uid.as_bytes());
        put(0x0008, 0x0020, b"DA", &text("20261122"));
        put(0x0008, 0x0030, b"TM", &text("101500"));
        put(0x0008, 0x0050, b"SH", &text(""));
        put(0x0008, 0x0060, b"CS", &text("CT"));
        put(0x0008, 0x0090, b"PN", &text(""));
        put(0x0008, 0x1030, b"LO", &text("Head"));
        put(0x0010, 0x0010, b"PN", &text(PATIENT));
        put(0x0010, 0x0020, b"LO", &text("KAS-0412-7"));
        put(0x0010, 0x0030, b"DA", &text(""));
        put(0x0010, 0x0040, b"CS", &text(""));
        put(0x0010, 0x1010, b"AS", b"045Y");
        put(0x0010, 0x21b0, b"LT", &text("Fall"));
        put(0x0018, 0x0015, b"CS", &text("HEAD"));
        put(0x0020, 0x000d, b"UI", self.study.as_bytes());
        put(0x0020, 0x000e, b"UI", self.series.as_bytes());
        put(0x0020, 0x0013, b"IS", self.number.to_string().as_bytes());
        out.extend_from_slice(&[0xe0, 0x7f, 0x10, 0x00, b'O', b'W', 0, 0]);
        out.extend_from_slice(&(self.pixels.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.pixels);
        out
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        let mut meta = Vec::new();
        element(&mut meta, 0x0002, 0x0001, b"OB", &[0, 1]);
        for (number, value) in [(0x0002, CT), (0x0003, self.uid.as_str()), (0x0010, EXPLICIT), (0x0012, "1.2.3.4")] {
            let mut value = value.as_bytes().to_vec();
            value.resize(value.len().next_multiple_of(2), 0);
            element(&mut meta, 0x0002, number, b"UI", &value);
        }
        let mut file = vec![0; 128];
        file.extend_from_slice(b"DICM");
        element(&mut file, 0x0002, 0x0000, b"UL", &(meta.len() as u32).to_le_bytes());
        file.extend(meta);
        file.extend(self.data_set());
        file
    }
}

fn element(out: &mut Vec<u8>, group: u16, number: u16, vr: &[u8; 2], value: &[u8]) {
    out.extend_from_slice(&group.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(vr);
    if vr == b"OB" {
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    } else {
        out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    }
    out.extend_from_slice(value);
}

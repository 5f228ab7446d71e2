//! Every rule by which a stored value becomes a grey or a colour, each on an image made for it.
//!
//! A MONOCHROME1 film shown the wrong way round, or a CT without its window, hides what the reader is asked for; each
//! rule here was the bug of some viewer.

use super::*;

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const RLE: &str = "1.2.840.10008.1.2.5";
const JPEG: &str = "1.2.840.10008.1.2.4.50";

/// An image of one row, unless a test says otherwise.
#[derive(Clone)]
struct Image {
    syntax: &'static str,
    elements: Vec<(u32, &'static [u8; 2], Vec<u8>)>,
}

impl Image {
    /// Unsigned 16-bit values in grey.
    fn grey(values: &[u16]) -> Self {
        let pixels = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let image = Self { syntax: EXPLICIT, elements: Vec::new() };
        image
            .code(0x0028_0004, "MONOCHROME2")
            .figure(0x0028_0002, 1)
            .figure(0x0028_0010, 1)
            .figure(0x0028_0011, values.len() as u16)
            .bits(16, 16, 15)
            .with(0x7FE0_0010, b"OW", pixels)
    }

    fn bytes(meaning: &str, samples: u16, columns: u16, pixels: &[u8]) -> Self {
        let image = Self { syntax: EXPLICIT, elements: Vec::new() };
        image
            .code(0x0028_0004, meaning)
            .figure(0x0028_0002, samples)
            .figure(0x0028_0010, 1)
            .figure(0x0028_0011, columns)
            .bits(8, 8, 7)
            .with(0x7FE0_0010, b"OB", pixels.to_vec())
    }

    fn with(mut self, tag: u32, vr: &'static [u8; 2], value: Vec<u8>) -> Self {
        self.elements.retain(|(other, ..)| *other != tag);
        self.elements.push((tag, vr, value));
        self.elements.sort_by_key(|(tag, ..)| *tag);
        self
    }

    fn figure(self, tag: u32, figure: u16) -> Self {
        self.with(tag, b"US", figure.to_le_bytes().to_vec())
    }

    fn code(self, tag: u32, code: &str) -> Self {
        self.with(tag, b"CS", code.as_bytes().to_vec())
    }

    fn decimal(self, tag: u32, figures: &str) -> Self {
        self.with(tag, b"DS", figures.as_bytes().to_vec())
    }

    fn bits(self, allocated: u16, stored: u16, high: u16) -> Self {
        self.figure(0x0028_0100, allocated).figure(0x0028_0101, stored).figure(0x0028_0102, high)
    }

    fn window(self, centre: &str, width: &str) -> Self {
        self.decimal(0x0028_1050, centre).decimal(0x0028_1051, width)
    }

    /// A sequence of one item that holds a lookup table.
    fn table(self, sequence: u32, descriptor: [u16; 3], outputs: &[u16]) -> Self {
        let words = |words: &[u16]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let item =
            [element(0x0028_3002, b"US", &words(&descriptor)), element(0x0028_3006, b"OW", &words(outputs))].concat();
        self.with(sequence, b"SQ", items(&[item]))
    }

    fn file(&self) -> Vec<u8> {
        let mut file = [vec![0; 128], b"DICM".to_vec(), element(0x0002_0010, b"UI", self.syntax.as_bytes())].concat();
        let swapped = self.syntax == BIG_ENDIAN;
        let named = [(0x0008_0018, b"UI", b"1.2.3.4".to_vec()), (0x0020_000D, b"UI", b"1.2.3".to_vec())];
        let mut elements: Vec<_> = named.into_iter().chain(self.elements.clone()).collect();
        elements.sort_by_key(|(tag, ..)| *tag);
        for (tag, vr, value) in elements {
            let is_coded = tag == 0x7FE0_0010 && [RLE, JPEG].contains(&self.syntax);
            file.extend(match (swapped, is_coded) {
                (_, true) => {
                    let mut bytes = element(tag, vr, &[]);
                    bytes.splice(8.., [0xFF; 4]);
                    [bytes, items(&[Vec::new(), value]), vec![0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]].concat()
                }
                (true, _) => big_element(tag, vr, &value),
                (false, _) => element(tag, vr, &value),
            });
        }
        file
    }

    /// The picture, before it is compressed.
    fn shown(&self) -> Result<Picture, PreviewError> {
        self.frame(0)
    }

    fn frame(&self, number: u32) -> Result<Picture, PreviewError> {
        picture(&frame::read(&self.file(), Form::File, number)?)
    }

    fn samples(&self) -> Vec<u8> {
        self.shown().unwrap().samples
    }
}

fn element(tag: u32, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    value.resize(value.len().next_multiple_of(2), if vr == b"UI" { 0 } else { b' ' });
    let mut bytes = [((tag >> 16) as u16).to_le_bytes(), (tag as u16).to_le_bytes()].concat();
    bytes.extend(vr);
    if matches!(vr, b"OB" | b"OW" | b"OF" | b"OD" | b"SQ" | b"UN") {
        bytes.extend([0, 0]);
        bytes.extend((value.len() as u32).to_le_bytes());
    } else {
        bytes.extend((value.len() as u16).to_le_bytes());
    }
    bytes.extend(value);
    bytes
}

fn big_element(tag: u32, vr: &'static [u8; 2], value: &[u8]) -> Vec<u8> {
    let mut bytes = element(tag, vr, value);
    let head = if matches!(vr, b"OB" | b"OW") { 12 } else { 8 };
    bytes[0..2].reverse();
    bytes[2..4].reverse();
    let length = if head == 12 { 8..12 } else { 6..8 };
    bytes[length].reverse();
    if matches!(vr, b"US" | b"OW") {
        bytes[head..].chunks_exact_mut(2).for_each(<[u8]>::reverse);
    }
    bytes
}

fn items(items: &[Vec<u8>]) -> Vec<u8> {
    let item = |item: &Vec<u8>| [&[0xFE, 0xFF, 0, 0xE0], (item.len() as u32).to_le_bytes().as_slice(), item].concat();
    items.iter().flat_map(item).collect()
}

#[test]
fn the_window_of_the_modality_decides_what_is_black_and_white() {
    let values: Vec<u16> = vec![0, 1000, 1064, 1128, 1192, 1256, 4000];
    let image = Image::grey(&values).decimal(0x0028_1052, "-1000").decimal(0x0028_1053, "1").window("128.5", "257");
    assert_eq!(image.samples(), [0, 0, 64, 128, 191, 255, 255]);
}

#[test]
fn of_several_windows_the_first_is_taken() {
    let image = Image::grey(&[0, 50, 100, 4000]).window("50.5\\2000", "101\\4000");
    assert_eq!(image.samples(), [0, 128, 255, 255]);
}

#[test]
fn each_window_function_has_its_own_curve() {
    let image = Image::grey(&[0, 25, 50, 75, 100]).window("50", "100");
    assert_eq!(image.clone().samples(), [0, 64, 129, 193, 255], "LINEAR: half a value, and one value less wide");
    assert_eq!(image.clone().code(0x0028_1056, "LINEAR_EXACT").samples(), [0, 64, 128, 191, 255]);
    assert_eq!(image.code(0x0028_1056, "SIGMOID").samples(), [30, 69, 128, 186, 225]);
}

#[test]
fn monochrome1_is_white_where_its_values_are_low_and_inverse_says_the_same_once() {
    let image = Image::grey(&[0, 100]).window("50.5", "101");
    assert_eq!(image.clone().samples(), [0, 255]);
    assert_eq!(image.clone().code(0x0028_0004, "MONOCHROME1").samples(), [255, 0]);
    assert_eq!(image.clone().code(0x2050_0020, "INVERSE").samples(), [255, 0]);
    assert_eq!(image.code(0x0028_0004, "MONOCHROME1").code(0x2050_0020, "INVERSE").samples(), [255, 0]);
}

#[test]
fn tables_stand_where_they_are_given() {
    let modality = Image::grey(&[10, 11, 12]).table(0x0028_3000, [3, 10, 16], &[0, 500, 1000]).window("500.5", "1001");
    assert_eq!(modality.samples(), [0, 128, 255]);
    let voi = Image::grey(&[9, 10, 11, 12, 99]).table(0x0028_3010, [3, 10, 16], &[0, 2048, 4095]).window("1", "2");
    assert_eq!(voi.samples(), [0, 0, 128, 255, 255], "before the window, and 12 bits of 16");
    let packed = Image::grey(&[0, 1, 2, 3]).table(0x0028_3010, [4, 0, 8], &[0x8000, 0xFF40]);
    assert_eq!(packed.samples(), [0, 128, 64, 255], "two entries to a word");
}

#[test]
fn signed_values_and_values_below_other_bits_are_read_as_they_are_stored() {
    let signed = Image::grey(&[0xFF9C, 0, 100]).figure(0x0028_0103, 1).window("0.5", "201");
    assert_eq!(signed.samples(), [0, 128, 255]);
    let twelve = Image::grey(&[0xF000, 0x0800, 0xFFFF]).bits(16, 12, 11).window("2048", "4096");
    assert_eq!(twelve.samples(), [0, 128, 255], "an overlay in the upper bits is no pixel");
    let negative = Image::grey(&[0x0800, 0xF000, 0xF7FF]).bits(16, 12, 11).figure(0x0028_0103, 1).window("0", "4096");
    assert_eq!(negative.samples(), [0, 128, 255], "the sign is the highest stored bit");
    let high = Image::grey(&[0x000F, 0x8000, 0xFFF0]).bits(16, 12, 15).window("2048", "4096");
    assert_eq!(high.samples(), [0, 128, 255], "stored bits may lie at the top");
}

#[test]
fn without_a_window_most_values_decide_and_air_does_not() {
    let mut values = vec![0_u16; 4000];
    values.extend((0..4000).map(|value| 1000 + value / 4));
    values.extend([60_000; 4]);
    let grey = Image::grey(&values).figure(0x0028_0010, 1);
    let frame = frame::read(&grey.file(), Form::File, 0).unwrap();
    let tone = Tone::of(&frame);
    assert!(tone.grey(1020.0) < 20.0 && tone.grey(1980.0) > 235.0, "spread over what is not air");
    assert_eq!((tone.grey(0.0), tone.grey(60_000.0)), (0.0, 255.0));
}

#[test]
fn padding_is_black_and_has_no_part_in_the_window() {
    let mut values = vec![0xFFFF; 1000];
    values.extend(0..1000);
    let image = Image::grey(&values).figure(0x0028_0120, 0xFFFF);
    let frame = frame::read(&image.file(), Form::File, 0).unwrap();
    let tone = Tone::of(&frame);
    assert_eq!(tone.grey(65_535.0), 0.0);
    assert!(tone.grey(500.0) > 120.0 && tone.grey(500.0) < 135.0);
    let range = image.figure(0x0028_0120, 0xFFFF).figure(0x0028_0121, 900);
    let tone = Tone::of(&frame::read(&range.file(), Form::File, 0).unwrap());
    assert_eq!((tone.grey(950.0), tone.grey(60_000.0)), (0.0, 0.0), "all from the limit to the value");
}

#[test]
fn a_window_that_shows_nothing_of_the_image_is_not_believed() {
    let image = Image::grey(&(0..1000).collect::<Vec<_>>()).window("-20000", "10");
    let samples = image.samples();
    assert!(samples.first() < Some(&20) && samples.last() > Some(&235));
    let none = Image::grey(&[0, 100]).window("50", "0");
    assert_eq!(none.samples(), [0, 255], "a width of 0 is no window");
}

#[test]
fn every_colour_space_comes_out_as_red_green_and_blue() {
    let red = [254, 0, 0];
    let near = |image: Image, what: &str| {
        let picture = image.shown().unwrap();
        assert_eq!(picture.channels, Channels::Rgb);
        let distance =
            picture.samples.chunks(3).flatten().zip(red.iter().cycle()).map(|(a, b): (&u8, _)| a.abs_diff(*b));
        assert!(distance.max() < Some(4), "{what}: {:?}", picture.samples);
    };
    near(Image::bytes("RGB", 3, 2, &[254, 0, 0, 254, 0, 0]), "by pixel");
    near(Image::bytes("RGB", 3, 2, &[254, 254, 0, 0, 0, 0]).figure(0x0028_0006, 1), "by plane");
    near(Image::bytes("YBR_FULL", 3, 2, &[76, 85, 255, 76, 85, 255]), "luminance and chrominance");
    near(Image::bytes("YBR_FULL_422", 3, 2, &[76, 76, 85, 255]), "half the chrominance");
    near(Image::bytes("YBR_PARTIAL_422", 3, 2, &[81, 81, 90, 240]), "as video");
    let wide = Image::bytes("RGB", 3, 1, &[0xE0, 0xFF, 0, 0, 0, 0]).bits(16, 16, 15);
    near(wide, "16 bits");
}

#[test]
fn a_jpeg_says_itself_what_its_components_mean() {
    let mut stream = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut stream, 90);
    encoder.encode(&[254, 0, 0].repeat(256), 16, 16, jpeg_encoder::ColorType::Rgb).unwrap();
    for meaning in ["YBR_FULL_422", "RGB"] {
        let image = Image::bytes(meaning, 3, 16, &stream).figure(0x0028_0010, 16);
        let samples = Image { syntax: JPEG, ..image }.samples();
        let is_red = |pixel: &[u8]| pixel[0] > 250 && pixel[1] < 5 && pixel[2] < 5;
        assert!(
            samples.chunks(3).all(is_red),
            "JFIF is YCbCr, though its Instance says {meaning}: {:?}",
            &samples[..3]
        );
    }
}

#[test]
fn a_palette_gives_its_colours_by_index() {
    let words = |words: &[u16]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let image = |descriptor: [u16; 3], tables: [&[u16]; 3], data: u32| {
        let image = Image::bytes("PALETTE COLOR", 1, 4, &[0, 7, 8, 200]);
        (0..3).fold(image, |image, channel| {
            image.with(0x0028_1101 + channel, b"US", words(&descriptor)).with(
                data + channel,
                b"OW",
                words(tables[channel as usize]),
            )
        })
    };
    let direct = image([3, 7, 16], [&[0xFFFF, 0, 0x8000], &[0, 0xFFFF, 0x8000], &[0, 0, 0x8000]], 0x0028_1201);
    assert_eq!(direct.samples(), [255, 0, 0, 255, 0, 0, 0, 255, 0, 128, 128, 128], "those outside have the outermost");
    let segments: [&[u16]; 3] = [&[0, 1, 0, 1, 8, 0xFFFF], &[0, 1, 0, 1, 8, 0], &[0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0]];
    let segmented = image([9, 0, 16], segments, 0x0028_1221);
    assert_eq!(segmented.samples(), [0, 0, 0, 223, 0, 0, 255, 0, 0, 255, 0, 0], "one value, then a line of eight");
}

#[test]
fn other_depths_are_shown_too() {
    let mask = Image::bytes("MONOCHROME2", 1, 8, &[0b1100_0101, 0]).bits(1, 1, 0);
    assert_eq!(mask.samples(), [255, 0, 255, 0, 0, 0, 255, 255]);
    let wide = [0_u32, 1_000_000, 2_000_000].map(u32::to_le_bytes).concat();
    let dose = Image::bytes("MONOCHROME2", 1, 3, &wide).bits(32, 32, 31).window("1000000.5", "2000001");
    assert_eq!(dose.samples(), [0, 128, 255]);
    let floats = [0.0_f32, 0.5, 1.0].map(f32::to_le_bytes).concat();
    let mut float = Image::bytes("MONOCHROME2", 1, 3, &[]).bits(32, 32, 31).code(0x0028_1056, "LINEAR_EXACT");
    float.elements.retain(|(tag, ..)| *tag != 0x7FE0_0010);
    let double = float.clone().with(0x7FE0_0009, b"OD", [0.0_f64, 0.5, 1.0].map(f64::to_le_bytes).concat());
    assert_eq!(float.with(0x7FE0_0008, b"OF", floats).window("0.5", "1").samples(), [0, 128, 255]);
    assert_eq!(double.bits(64, 64, 63).window("0.5", "1").samples(), [0, 128, 255]);
}

#[test]
fn big_endian_words_of_small_samples_come_the_right_way_round() {
    let grey = Image { syntax: BIG_ENDIAN, ..Image::grey(&[0, 100]).window("50.5", "101") };
    assert_eq!(grey.samples(), [0, 255]);
    let odd = Image { syntax: BIG_ENDIAN, ..Image::bytes("RGB", 3, 1, &[254, 100, 0]) };
    let as_words =
        Image { elements: odd.elements.clone(), ..odd.clone() }.with(0x7FE0_0010, b"OW", vec![254, 100, 0, 0]);
    assert_eq!((odd.samples(), as_words.samples()), (vec![254, 100, 0], vec![254, 100, 0]));
}

#[test]
fn pixels_that_are_not_square_are_shown_in_shape() {
    let image = Image::bytes("MONOCHROME2", 1, 4, &[0; 16]).figure(0x0028_0010, 4);
    let size = |image: Image| image.shown().map(|picture| (picture.size.width, picture.size.height)).unwrap();
    assert_eq!(size(image.clone()), (4, 4));
    assert_eq!(size(image.clone().with(0x0028_0034, b"IS", b"2\\1".to_vec())), (4, 8));
    assert_eq!(size(image.clone().decimal(0x0028_0030, "0.5\\1.0")), (8, 4));
    assert_eq!(size(image.decimal(0x0028_0030, "0.5\\500")), (4, 4), "a mistake of the device");
}

#[test]
fn a_frame_is_found_among_others_and_has_its_own_window() {
    let image = Image::grey(&[0, 0, 100, 100]).figure(0x0028_0011, 2).with(0x0028_0008, b"IS", b"2".to_vec());
    let window = |centre: &str| {
        let values = [element(0x0028_1050, b"DS", centre.as_bytes()), element(0x0028_1051, b"DS", b"201")].concat();
        element(0x0028_9132, b"SQ", &items(&[values]))
    };
    let image = image.with(0x5200_9230, b"SQ", items(&[window("0.5"), window("100.5")]));
    assert_eq!(image.frame(0).unwrap().samples, [128, 128]);
    assert_eq!(image.frame(1).unwrap().samples, [128, 128], "100 is the middle of its own window");
    assert!(matches!(image.frame(2), Err(PreviewError::NoFrame { frame: 2, frames: 2 })));
}

#[test]
fn frames_of_single_bits_begin_inside_a_byte() {
    let image =
        Image::bytes("MONOCHROME2", 1, 3, &[0b0010_1101, 0]).bits(1, 1, 0).with(0x0028_0008, b"IS", b"2".to_vec());
    assert_eq!(image.frame(0).unwrap().samples, [255, 0, 255]);
    assert_eq!(image.frame(1).unwrap().samples, [255, 0, 255]);
}

#[test]
fn packed_bits_are_unpacked_byte_by_byte() {
    let mut header = vec![2, 0, 0, 0, 64, 0, 0, 0, 68, 0, 0, 0];
    header.resize(64, 0);
    // High bytes: three zeros repeated; low bytes: as they are.
    let stream = [header, vec![0xFE, 0, 0x80, 0x80], vec![2, 0, 50, 100]].concat();
    let image = Image { syntax: RLE, ..Image::grey(&[0; 3]) }.with(0x7FE0_0010, b"OB", stream.clone());
    assert_eq!(image.clone().window("50.5", "101").samples(), [0, 128, 255]);
    let short = image.with(0x7FE0_0010, b"OB", stream[..66].to_vec());
    assert!(matches!(short.shown(), Err(PreviewError::Stream { .. })));
}

#[test]
fn what_contradicts_itself_has_no_picture() {
    let image = Image::grey(&[0, 1]);
    let why = |image: Image| image.shown().unwrap_err();
    assert!(matches!(why(image.clone().figure(0x0028_0010, 0)), PreviewError::Empty { what: "Rows" }));
    assert!(matches!(why(image.clone().figure(0x0028_0011, 3)), PreviewError::PixelsShort { needed: 6, there: 4 }));
    assert!(matches!(why(image.clone().code(0x0028_0004, "RGB")), PreviewError::Photometric { samples: 1, .. }));
    assert!(matches!(why(image.clone().bits(12, 12, 11)), PreviewError::Bits { allocated: 12, .. }));
    assert!(matches!(why(image.clone().bits(16, 17, 16)), PreviewError::Bits { .. }));
    let vast = Image::bytes("MONOCHROME2", 1, 10_000, &[0; 2]).figure(0x0028_0010, 10_000);
    assert!(matches!(why(vast), PreviewError::TooLarge { pixels: 100_000_000, bytes: 100_000_000, .. }));
    let mut without = image;
    without.elements.retain(|(tag, ..)| *tag != 0x7FE0_0010);
    assert!(matches!(why(without), PreviewError::NoPixels));
}

#[test]
fn an_unknown_value_representation_changes_nothing() {
    let image = Image::grey(&[0, 50, 100]);
    let image = image.with(0x0028_1050, b"UN", b"50.5".to_vec()).with(0x0028_1051, b"UN", b"101 ".to_vec());
    assert_eq!(image.samples(), [0, 128, 255]);
}

#[test]
fn a_preview_fits_in_what_it_may_take_and_opens_in_a_browser() {
    // Noise: the worst that can be asked of an encoder.
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let pixels: Vec<u8> = (0..640 * 480 * 3).map(|_| noise()).collect();
    let image = Image::bytes("RGB", 3, 640, &pixels).figure(0x0028_0010, 480);
    for bytes in [25_000, 3000] {
        let allowance = Allowance::of_bytes(bytes).unwrap();
        let preview = render(&image.file(), Form::File, 0, allowance).unwrap();
        assert!(preview.image.len() <= bytes as usize, "{} of {bytes}", preview.image.len());
        assert!(preview.image.starts_with(&[0xFF, 0xD8]));
        assert!(preview.image.windows(2).any(|marker| marker == [0xFF, 0xC0]), "baseline");
    }
    let even = Image::bytes("RGB", 3, 640, &vec![90; 640 * 480 * 3]).figure(0x0028_0010, 480);
    let preview = render(&even.file(), Form::File, 0, Allowance::FULL).unwrap();
    assert!(preview.image.starts_with(b"\x89PNG"), "smaller so");
    assert_eq!((preview.width, preview.height), (512, 384));
}

#[test]
fn grey_that_is_stored_three_times_is_sent_once() {
    let picture = Image::bytes("RGB", 3, 2, &[9, 9, 9, 200, 200, 200]).shown().unwrap();
    assert_eq!(picture.channels, Channels::Rgb);
    let preview = picture.fit(Allowance::FULL).unwrap();
    let decoder = png::Decoder::new(io::Cursor::new(preview.image));
    assert_eq!(decoder.read_info().unwrap().info().color_type, png::ColorType::Grayscale);
}

#[test]
fn an_interpretation_that_is_unknown_is_named_as_such_and_never_quoted() {
    let odd = Image::grey(&[0, 1]).code(0x0028_0004, "BANDA GRACE");
    let why = odd.shown().unwrap_err().to_string();
    assert!(!why.contains("BANDA"), "{why}");
}

//! Real children, and files that kill them.
//!
//! The test's own program is the child: started with an argument it serves as `radmesh codec-worker` does, but watches
//! its standard input and comes to harm over a file that says so. It runs without libtest, whose words on standard
//! output would be taken for a frame.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use radmesh_codec::{
    group::{Content, Profile, Source},
    scan,
    uid::TransferSyntax,
};
use radmesh_worker::{
    Coded, Death, DecodeFault, EncodeFault, Form, Lost, Place, PreviewFault, Workers, child,
    preview::{Allowance, Preview, limits::PREVIEW_BYTES_MIN},
};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::{
    cell::RefCell,
    env, fs,
    io::{self, Read, Write},
    process,
    rc::Rc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

const CRASH: &[u8] = b"MAKES THE CODER CRASH";
const HOARD: &[u8] = b"MAKES THE CODER HOARD";
const HANG: &[u8] = b"MAKES THE CODER HANG!";
/// It kills the child that renders it and no other.
const BLIND: &[u8] = b"MAKES THE CODER BLIND";

/// Whether this child has met a file that makes it hang.
static HANGS: AtomicBool = AtomicBool::new(false);

/// Standard output of a child that hangs.
struct Stuck(io::Stdout);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        while HANGS.load(Ordering::SeqCst) {
            thread::park();
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Standard input of a child that dies over what it reads.
struct Mortal {
    from: io::Stdin,
    seen: Vec<u8>,
    /// Whether the message of which the head was just read comes next.
    hears: bool,
    renders: bool,
}

impl Read for Mortal {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        if self.hears && into.starts_with(&[JOB]) {
            self.renders = into[1] == PREVIEW;
        }
        self.hears = read == HEAD_BYTES && into[0] == MESSAGE;
        self.seen.extend_from_slice(&into[..read]);
        let saw = |words: &[u8]| self.seen.windows(words.len()).any(|window| window == words);
        if saw(CRASH) || (self.renders && saw(BLIND)) {
            process::abort();
        }
        if saw(HANG) {
            HANGS.store(true, Ordering::SeqCst);
            // A third thread tells whoever looks that the child hangs: it has no file to write it into.
            thread::spawn(thread::park);
        }
        if saw(HOARD) {
            self.seen.resize(600 * 1024 * 1024, 7);
        }
        let keep = self.seen.len().saturating_sub(CRASH.len());
        self.seen.drain(..keep);
        Ok(read)
    }
}

// A message begins with its number in `src/message.rs`, and a frame as `src/frame.rs` says.
const HEAD_BYTES: usize = 5;
const MESSAGE: u8 = 0;
const JOB: u8 = 0;
const PREVIEW: u8 = 2;

fn main() {
    match env::args().nth(1).as_deref() {
        Some("child") => {
            let mortal = Mortal { from: io::stdin(), seen: Vec::new(), hears: false, renders: false };
            return child::run(mortal, Stuck(io::stdout())).unwrap();
        }
        Some("node") => return drop(encode(&workers(), &files(&[HANG]))),
        _ => {}
    }
    let facts: [(&str, fn()); 12] = [
        ("a_group_goes_through_a_child_and_back", a_group_goes_through_a_child_and_back),
        ("a_child_is_used_again_and_a_failed_one_is_not", a_child_is_used_again_and_a_failed_one_is_not),
        ("one_deadly_file_is_stored_and_the_others_are_coded", one_deadly_file_is_stored_and_the_others_are_coded),
        ("a_child_that_wants_too_much_memory_is_told_apart", a_child_that_wants_too_much_memory_is_told_apart),
        ("a_child_opens_nothing", a_child_opens_nothing),
        ("what_the_node_can_not_read_or_write_is_no_death", what_the_node_can_not_read_or_write_is_no_death),
        ("a_stream_that_is_not_what_was_declared_is_refused", a_stream_that_is_not_what_was_declared_is_refused),
        ("groups_of_a_series_come_in_order", groups_of_a_series_come_in_order),
        ("a_picture_is_the_same_with_a_child_and_without", a_picture_is_the_same_with_a_child_and_without),
        ("what_has_no_picture_says_why_and_ends_no_child", what_has_no_picture_says_why_and_ends_no_child),
        (
            "a_file_that_kills_the_child_in_which_it_is_rendered_has_no_picture_and_is_coded_like_any_other",
            a_file_that_kills_the_child_in_which_it_is_rendered_has_no_picture_and_is_coded_like_any_other,
        ),
        ("a_child_that_hangs_ends_with_its_node", a_child_that_hangs_ends_with_its_node),
    ];
    for (name, fact) in facts {
        println!("test {name} ...");
        fact();
    }
    println!("test result: ok. {} passed", facts.len());
}

fn workers() -> Workers {
    Workers::new(Place::Child { program: env::current_exe().unwrap(), arguments: vec!["child".into()] })
}

/// Process ids of our children, from the kernel.
fn children() -> Vec<u32> {
    children_of(process::id())
}

fn children_of(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).unwrap().map(|task| task.unwrap().path().join("children"));
    let lists = tasks.filter_map(|list| fs::read_to_string(list).ok());
    lists.flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect()
}

fn files(texts: &[&[u8]]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| [vec![text.len() as u8; 50_000], text.to_vec()].concat()).collect()
}

fn encode(workers: &Workers, files: &[Vec<u8>]) -> Result<(Vec<u8>, Vec<Content>), EncodeFault> {
    let sources: Vec<&dyn Source> = files.iter().map(|file| file as &dyn Source).collect();
    let mut coded = Vec::new();
    let stats = workers.encode(&sources, Profile::Max, &mut coded)?;
    assert_eq!(stats.coded_bytes, coded.len() as u64);
    Ok((coded, stats.contents))
}

/// Takes the bytes of one Instance.
#[derive(Clone, Default)]
struct Taken(Rc<RefCell<Vec<u8>>>);

impl Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn decode(workers: &Workers, coded: &[u8], expected: &[Content]) -> Result<Vec<Vec<u8>>, DecodeFault> {
    let taken: Vec<Taken> = expected.iter().map(|_| Taken::default()).collect();
    let outs = taken.clone();
    workers.decode(&mut &*coded, expected, move |index| Ok(Box::new(outs[index].clone())))?;
    Ok(taken.into_iter().map(|taken| taken.0.take()).collect())
}

fn a_group_goes_through_a_child_and_back() {
    let (workers, inside) = (workers(), Workers::new(Place::InProcess));
    for files in [files(&[b"one", b"", b"three"]), vec![], vec![vec![]]] {
        let (coded, contents) = encode(&workers, &files).unwrap();
        assert_eq!(
            (&coded, &contents),
            (&encode(&inside, &files).unwrap().0, &contents),
            "the same as without a child"
        );
        assert_eq!(decode(&workers, &coded, &contents).unwrap(), files);
    }
}

fn a_child_is_used_again_and_a_failed_one_is_not() {
    let workers = workers();
    let (good, deadly) = (files(&[b"good"]), files(&[CRASH]));
    encode(&workers, &good).unwrap();
    let first = children();
    assert_eq!(first.len(), 1);
    encode(&workers, &good).unwrap();
    assert_eq!(children(), first);
    let Err(EncodeFault::Lost(Lost::Died(Death::Signal(6)))) = encode(&workers, &deadly) else { panic!("it aborts") };
    assert!(children().is_empty());
    encode(&workers, &good).unwrap();
    let second = children();
    assert!(second.len() == 1 && second != first);
    // One that was ended while nobody needed it costs no job.
    let pid = Pid::from_raw(second[0].cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    encode(&workers, &good).unwrap();
    drop(workers);
    assert!(children().is_empty(), "children end with their workers");
}

/// Codes a Series; gives its groups, and how many streams were begun.
fn series(workers: &Workers, files: &[Vec<u8>]) -> (Vec<Coded<Vec<u8>>>, usize) {
    let sources: Vec<&(dyn Source + Sync)> = files.iter().map(|file| file as &(dyn Source + Sync)).collect();
    let (mut groups, begun) = (Vec::new(), AtomicUsize::new(0));
    let fresh = || {
        begun.fetch_add(1, Ordering::SeqCst);
        Ok(Vec::new())
    };
    let give = |coded| {
        groups.push(coded);
        Ok::<_, EncodeFault>(())
    };
    workers.series(&sources, Profile::Max, fresh, give).unwrap();
    (groups, begun.into_inner())
}

fn one_deadly_file_is_stored_and_the_others_are_coded() {
    let (workers, files) = (workers(), files(&[b"one", b"two", CRASH, b"four"]));
    let (groups, begun) = series(&workers, &files);
    let forms: Vec<_> = groups.iter().map(|group| (group.instances.clone(), group.form)).collect();
    let (coded, stored) = (Form::Coded, Form::StoredAsReceived);
    assert_eq!(forms, [(0..1, coded), (1..2, coded), (2..3, stored), (3..4, coded)]);
    // The group twice, three alone once, one alone twice and then stored.
    assert_eq!(begun, 2 + 3 + 3);
    let inside = Workers::new(Place::InProcess);
    for (group, file) in groups.iter().zip(files) {
        assert_eq!(decode(&inside, &group.out, &group.stats.contents).unwrap(), [file]);
    }
}

fn a_child_that_wants_too_much_memory_is_told_apart() {
    let refused = encode(&workers(), &files(&[HOARD])).unwrap_err();
    assert!(matches!(refused, EncodeFault::Lost(Lost::Died(Death::Memory))), "{refused}");
    assert_eq!(refused.to_string(), "the coder's child asked for more memory than its limit");
}

fn a_child_opens_nothing() {
    let workers = workers();
    encode(&workers, &files(&[b"one"])).unwrap();
    let of = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", children()[0])).unwrap();
    let limits = of("limits");
    for (name, value) in [
        ("Max open files", "3"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
        ("Max address space", "536870912"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line[name.len()..].split_whitespace().take(2).eq([value, value]), "{line}");
    }
    assert_eq!(of("oom_score_adj").trim(), "1000");
    // What the allocator is told, and nothing of the node's own.
    assert_eq!(of("environ"), "MALLOC_MMAP_THRESHOLD_=262144\0");
}

/// A card that fails after so many bytes.
struct Failing {
    declared: u64,
    gives: u64,
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the card is gone"))
    }
}

impl Source for Failing {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(io::repeat(1).take(self.gives).chain(Broken)))
    }

    fn bytes(&self) -> u64 {
        self.declared
    }
}

struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn what_the_node_can_not_read_or_write_is_no_death() {
    let workers = workers();
    let good = vec![3_u8; 100_000];
    for (declared, why) in [(100_000, "the card is gone"), (10, "declared 10 bytes")] {
        let failing = Failing { declared, gives: 50_000 };
        match workers.encode(&[&good, &failing], Profile::Max, &mut Vec::new()) {
            Err(EncodeFault::Source { index: 1, why: said }) => assert!(said.contains(why), "{said}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(children().len(), 1, "that child did nothing wrong");
    let full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
    let refused = workers.encode(&[&good], Profile::Max, &mut Full).unwrap_err();
    assert!(matches!(&refused, EncodeFault::Write(error) if full(error)), "{refused}");
    let (coded, contents) = encode(&workers, &[good]).unwrap();
    let refused = workers.decode(&mut coded.as_slice(), &contents, |_| Ok(Box::new(Full))).unwrap_err();
    assert!(matches!(&refused, DecodeFault::Write(error) if full(error)), "{refused}");
    let refused = workers.decode(&mut Broken, &contents, |_| Ok(Box::new(io::sink()))).unwrap_err();
    assert!(matches!(refused, DecodeFault::Read(_)), "{refused}");
    let nobody = Workers::new(Place::Child { program: "/nonexistent".into(), arguments: vec![] });
    let refused = encode(&nobody, &[]).unwrap_err();
    assert!(matches!(refused, EncodeFault::Lost(Lost::Start(_))), "{refused}");
}

fn a_stream_that_is_not_what_was_declared_is_refused() {
    let (workers, files) = (workers(), files(&[b"one", b"two"]));
    let (coded, contents) = encode(&workers, &files).unwrap();
    let mut other = contents.clone();
    other[1].hash[0] ^= 1;
    let refused = decode(&workers, &coded, &other).unwrap_err();
    assert!(refused.stays() && refused.to_string().contains("Instance 1"), "{refused}");
    for end in [0, 5, coded.len() - 1] {
        let refused = decode(&workers, &coded[..end], &contents).unwrap_err();
        assert!(matches!(refused, DecodeFault::Stream(_)), "{end}: {refused}");
    }
    assert!(matches!(decode(&workers, &[0xff; 99], &contents), Err(DecodeFault::Stream(_))));
    assert_eq!(decode(&workers, &coded, &contents).unwrap(), files);
    assert_eq!(children().len(), 1, "a bad stream is no reason for a new child");
}

fn groups_of_a_series_come_in_order() {
    // Four groups of 5 MiB, of which the first takes longest to code.
    let mut state = 1_u32;
    let byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let noise: Vec<u8> = std::iter::repeat_with(byte).take(5 << 20).collect();
    let workers = workers();
    let (groups, begun) = series(&workers, &[noise, vec![2; 5 << 20], vec![3; 5 << 20], vec![4; 5 << 20]]);
    assert!(groups.iter().map(|group| group.instances.clone()).eq([0..1, 1..2, 2..3, 3..4]));
    assert_eq!(begun, 4);
    assert!((1..=workers.seats()).contains(&children().len()));
}

fn ct() -> Vec<u8> {
    fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/pydicom/CT_small.dcm")).unwrap()
}

fn preview(workers: &Workers, file: &dyn Source, frame: u32) -> Result<Preview, PreviewFault> {
    workers.preview(file, scan::Form::File, frame, Allowance::FULL)
}

fn a_picture_is_the_same_with_a_child_and_without() {
    let (workers, inside, ct) = (workers(), Workers::new(Place::InProcess), ct());
    let picture = preview(&workers, &ct, 0).unwrap();
    assert_eq!(picture, preview(&inside, &ct, 0).unwrap());
    let little = Allowance::of_bytes(PREVIEW_BYTES_MIN).unwrap();
    let smaller = workers.preview(&ct, scan::Form::File, 0, little).unwrap();
    assert!(smaller.image.len() <= PREVIEW_BYTES_MIN as usize);
    // The data set alone, as it comes over the network; the meta of a file says its transfer syntax.
    let meta = 128 + 4 + 12 + usize::from(ct[140]) + 256 * usize::from(ct[141]);
    let transfer_syntax = TransferSyntax::parse("1.2.840.10008.1.2.1").unwrap();
    let form = scan::Form::DataSet { transfer_syntax };
    assert_eq!(workers.preview(&ct[meta..].to_vec(), form, 0, Allowance::FULL).unwrap(), picture);
    assert_eq!(children().len(), 1);
}

fn what_has_no_picture_says_why_and_ends_no_child() {
    let workers = workers();
    let said = |file: &Vec<u8>, frame| preview(&workers, file, frame).unwrap_err().to_string();
    assert_eq!(said(&ct(), 7), "there is no frame 7, counted from 0; the data set says 1");
    assert_eq!(said(&b"no DICOM at all".to_vec(), 0), preview_inside(b"no DICOM at all"));
    let failing = Failing { declared: 100_000, gives: 50 };
    let refused = workers.preview(&failing, scan::Form::File, 0, Allowance::FULL).unwrap_err();
    assert!(matches!(&refused, PreviewFault::Read(error) if error.to_string() == "the card is gone"), "{refused}");
    assert_eq!(children().len(), 1);
}

fn preview_inside(file: &[u8]) -> String {
    preview(&Workers::new(Place::InProcess), &file.to_vec(), 0).unwrap_err().to_string()
}

fn a_file_that_kills_the_child_in_which_it_is_rendered_has_no_picture_and_is_coded_like_any_other() {
    let (workers, good) = (workers(), ct());
    let with = |words: &[u8]| {
        let mut file = good.clone();
        let place = file.len() - 1000;
        file[place..place + words.len()].copy_from_slice(words);
        file
    };
    let why = |words| preview(&workers, &with(words), 0).unwrap_err();
    for words in [BLIND, CRASH] {
        let refused = why(words);
        assert!(matches!(refused, PreviewFault::Lost(Lost::Died(Death::Signal(6)))), "{refused}");
        assert!(children().is_empty());
    }
    assert!(matches!(why(HOARD), PreviewFault::Lost(Lost::Died(Death::Memory))));
    preview(&workers, &good, 0).unwrap();
    let (groups, _) = series(&workers, &[with(BLIND)]);
    assert_eq!(groups[0].form, Form::Coded);
}

/// Waits until `ask` gives something, and no longer than a minute.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let from = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(from.elapsed() < Duration::from_secs(60), "in vain: {what}");
        thread::yield_now();
    }
}

fn a_child_that_hangs_ends_with_its_node() {
    // The node is a process of its own, and is killed as by a power button.
    let mut node = process::Command::new(env::current_exe().unwrap()).arg("node").spawn().unwrap();
    let threads = |pid: u32| fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let child = until("the child hangs", || children_of(node.id()).into_iter().find(|child| threads(*child) == 3));
    node.kill().unwrap();
    node.wait().unwrap();
    let state = || fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    until("the child is gone", || (state().is_empty() || state().contains(") Z ")).then_some(()));
}

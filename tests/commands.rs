//! The command line as people meet it: every command, every option, and what is said when something is wrong.
//!
//! A nurse at night has the command, its help and one error message. So the pages and the help must agree, and every
//! refusal says what is wrong, what to do next, and by its exit code who has to do it. `tests/transcripts/` holds the
//! refusals word for word; a wording that is meant to change is changed there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};
use world::{RADMESH, World, radmesh, run, until};

/// What was agreed before the first line of it was written, with the options that were.
const AGREED: &str = "
    federation init --dir --name | init --dir --name --role --listen
    federation admit --dir --region --home-hub --standby-hub --via --key-maker --jurisdiction
    federation recover --dir --to | federation activate-standby --dir | person init --dir --name --role | join --dir | run --dir | unlock --dir
    send --dir --priority --indication --follow | studies --dir --json | worklist --dir --json | reports --dir --json
    modality list --dir --json | modality accept --dir | status --dir --json | claim --dir --as | release --dir --as
    report --dir --as --status --text-file | export --dir --to --verbatim | verify --dir | demo --once --keep
    codec encode --out --profile | codec decode --to | codec stat";

/// Options by command.
type Options = BTreeMap<String, BTreeSet<String>>;

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Reads `federation admit --dir X [--via RELAY]...` into its command and its options.
fn usage(line: &str) -> (String, BTreeSet<String>) {
    let words = line.split_whitespace();
    let lower = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.contains(|c: char| c.is_ascii_uppercase())
    };
    let command = words.clone().take_while(lower).collect::<Vec<_>>().join(" ");
    let option = |word: &str| word.trim_matches(['[', ']', '.']).starts_with("--");
    (command, words.filter(|w| option(w)).map(|w| w.trim_matches(['[', ']', '.']).to_owned()).collect())
}

/// Every command that `--help` leads to, with its options; each must say what it is for.
fn helped(command: &[&str], into: &mut Options) {
    let help = radmesh(&[command, &["--help"]].concat());
    let section = |name: &str| {
        help.split_once(&format!("\n{name}:\n")).map_or("", |(_, rest)| rest.split("\n\n").next().unwrap())
    };
    let commands: Vec<&str> = section("Commands")
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| *word != "help")
        .collect();
    for sub in &commands {
        helped(&[command, &[*sub]].concat(), into);
    }
    if !commands.is_empty() {
        return;
    }
    // With long help an option's text stands below it, else behind it.
    let text = help.split_once("\nOptions:\n").unwrap().1;
    let mut options = BTreeSet::new();
    for (number, line) in
        text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("--") || line.starts_with("  -"))
    {
        let name = line.split_whitespace().map(|word| word.trim_end_matches(',')).find(|word| word.starts_with("--"));
        let said = line.trim_start().contains("  ")
            || text.lines().nth(number + 1).is_some_and(|next| next.starts_with("          "));
        assert!(said, "{command:?}: {line} has no text");
        options.extend(name.map(str::to_owned));
    }
    options.retain(|option| option != "--help" && option != "--version");
    let about = help.lines().next().unwrap();
    assert!(about.len() > 10 && !about.starts_with("Usage"), "{command:?} does not say what it is for");
    into.insert(command.join(" "), options);
}

fn commands() -> Options {
    let mut commands = Options::new();
    helped(&[], &mut commands);
    commands
}

#[test]
fn every_command_that_was_agreed_exists_with_its_options() {
    let commands = commands();
    for line in AGREED.split(['\n', '|']).filter(|line| !line.trim().is_empty()) {
        let (command, agreed) = usage(line);
        let options = commands.get(&command).unwrap_or_else(|| panic!("no command {command:?}"));
        assert!(agreed.is_subset(options), "{command}: {agreed:?} were agreed, there are {options:?}");
    }
}

#[test]
fn the_page_of_commands_and_the_help_agree() {
    let text = page("docs/operating/commands.md").replace("\n        [", " [");
    let on_page: Options = text.lines().filter_map(|line| line.strip_prefix("radmesh ")).map(usage).collect();
    assert_eq!(on_page, commands());
}

#[test]
fn no_option_takes_a_passphrase_itself() {
    let about: BTreeSet<String> = commands().into_values().flatten().filter(|name| name.contains("pass")).collect();
    assert_eq!(about, BTreeSet::from(["--passphrase-file".to_owned()]));
}

#[test]
fn a_node_is_named_by_dir_then_by_the_environment_then_by_the_usual_place() {
    let asked = |args: &[&str], environment: Option<&str>| {
        let mut command = Command::new(RADMESH);
        command.args(["status"]).args(args).env_remove("RADMESH_DIR");
        environment.map(|dir| command.env("RADMESH_DIR", dir));
        let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
        said.split(':').nth(1).unwrap().trim().to_owned()
    };
    assert_eq!(asked(&["--dir", "/chosen"], Some("/set")), "/chosen");
    assert_eq!(asked(&[], Some("/set")), "/set");
    assert_eq!(asked(&[], None), "/var/lib/radmesh");
}

#[test]
fn every_command_that_needs_a_running_node_says_how_to_start_one() {
    let alone = ["federation", "init", "person", "join", "run", "codec", "demo"];
    let world = World::new();
    fs::write(world.path("text"), "text").unwrap();
    world.person("banda");
    for (command, options) in commands() {
        if alone.contains(&command.split(' ').next().unwrap()) {
            continue;
        }
        let mut args: Vec<&str> = command.split(' ').collect();
        match &*command {
            "send" => args.push("text"),
            "modality accept" => args.push("CT1"),
            "claim" | "release" | "report" | "export" => args.push("0123"),
            _ => {}
        }
        for (option, value) in [("--as", "banda"), ("--to", "out"), ("--status", "final"), ("--text-file", "text")] {
            if options.contains(option) && command != "reports" {
                args.extend([option, value]);
            }
        }
        let done = said_in(&world, &args);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("no node runs here") && said.contains("`radmesh run"), "{command}: {said}");
    }
}

/// Runs a command in the world's directory, away from any terminal that could be asked for a passphrase.
fn said_in(world: &World, args: &[&str]) -> Output {
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(RADMESH).args(args).stdin(Stdio::null());
    command.current_dir(world.path("")).env_remove("RADMESH_DIR").output().unwrap()
}

/// Plays every command of a transcript, and compares what is said and how it ends.
fn play(world: &World, name: &str, case: &str) {
    let expected = page(&format!("tests/transcripts/{name}"));
    let long = "x".repeat(5_000);
    let mut played = String::new();
    for line in expected.lines().filter_map(|line| line.strip_prefix("$ radmesh ")) {
        // Words, or a sentence between quotes.
        let mut args = Vec::new();
        for (number, part) in line.split('"').enumerate() {
            if number % 2 == 1 { args.push(part) } else { args.extend(part.split_whitespace()) }
        }
        let given = args.iter().map(|arg| match *arg {
            "CASE" => case,
            "LONG" => &long,
            word => word,
        });
        let done = said_in(world, &given.collect::<Vec<_>>());
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(!said.contains("panicked"), "{line}: {said}");
        let said: String =
            said.lines().filter(|line| !line.contains(" INFO ")).map(|line| format!("{line}\n")).collect();
        let said = if case.is_empty() { said } else { said.replace(case, "CASE") };
        played += &format!("$ radmesh {line}\n{said}[exit {}]\n\n", done.status.code().unwrap());
    }
    let at = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&at, &played).unwrap();
    let differs = expected.lines().zip(played.lines()).find(|(then, now)| then != now);
    assert!(
        played.trim_end() == expected.trim_end(),
        "{name}: expected and said: {differs:?}; all of it: {}",
        at.display()
    );
}

/// What a person gets wrong before any node runs, and with nodes that run.
fn mistaken() -> World {
    let world = World::new();
    let write = |name: &str, text: &str| fs::write(world.path(name), text).unwrap();
    write("wrong", "wrong horse battery staple\n");
    write("short", "horse\n");
    write("empty", "");
    let film = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pydicom/CT_small.dcm");
    fs::copy(&film, world.path("film.dcm")).unwrap();
    fs::create_dir(world.path("cd")).unwrap();
    fs::copy(film, world.path("cd/film.dcm")).unwrap();
    let pass = world.text("passphrase");
    radmesh(&["federation", "init", "--dir", &world.text("other"), "--name", "Other", "--passphrase-file", &pass]);
    for name in ["banda", "stranger"] {
        let dir = world.text(name);
        let args =
            ["person", "init", "--dir", &dir, "--name", name, "--role", "radiologist", "--passphrase-file", &pass];
        radmesh(&args);
    }
    world
}

#[test]
fn what_is_refused_without_a_node_is_said_word_for_word() {
    let world = mistaken();
    world.init("hub", "hub", &[]);
    world.init("spoke", "spoke", &[]);
    let broken = world.init("broken", "spoke", &[]).dir.join("radmesh.toml");
    let text = fs::read_to_string(&broken).unwrap().replace("quiet_period_s = 2", "quiet_period_s = 0");
    fs::write(&broken, text).unwrap();
    play(&world, "no_node_runs.txt", "");
}

#[test]
fn what_a_running_node_refuses_is_said_word_for_word() {
    let world = mistaken();
    let (hub, spoke) = (world.init("hub", "hub", &[]), world.init("spoke", "spoke", &[]));
    world.admit("hub", &["--key-maker"]);
    world.admit("spoke", &["--home-hub", "hub"]);
    world.admit("banda", &[]);
    let running = [&hub, &spoke].map(|place| {
        world.join(place);
        // A second roster, and a second of the same, are news or nothing, never an error.
        world.join(place);
        world.start(place)
    });
    let sent = run(&["send", "--dir", spoke.dir.to_str().unwrap(), &world.text("film.dcm")]);
    let said = String::from_utf8(sent.stderr).unwrap();
    assert_eq!(said, "handing in: 39.2 kB of 39.2 kB\n", "plain lines in a pipe");
    let case = until("the case is closed and at the hub", || {
        let (ours, theirs) = (spoke.json(&["studies"]), hub.json(&["worklist"]));
        (ours[0]["delivered"] == true).then(|| theirs[0]["case"].as_str().map(str::to_owned))?
    });
    play(&world, "nodes_run.txt", &case);
    drop(running);
}

#[test]
fn a_port_that_is_taken_is_named_with_the_key_that_chose_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let world = World::new();
    let listen = format!("/ip4/127.0.0.1/tcp/{port}");
    let (hub, relay) = (world.init("hub", "hub", &[]), world.init_at("relay", "relay", &listen, &[]));
    let spoke = world.init("spoke", "spoke", &[]);
    world.admit("hub", &["--key-maker"]);
    world.admit("relay", &[]);
    world.admit("spoke", &["--home-hub", "hub"]);
    let file = spoke.dir.join("radmesh.toml");
    let text = fs::read_to_string(&file).unwrap().replace(&spoke.dicom_port.to_string(), &port.to_string());
    fs::write(&file, text).unwrap();
    for (place, key) in [(&relay, "listen"), (&spoke, "dicom_listen")] {
        world.join(place);
        let done = run(&["run", "--dir", place.dir.to_str().unwrap()]);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(2), "{said}");
        for word in ["Address already in use", key, &port.to_string()] {
            assert!(said.contains(word), "{word} is not in: {said}");
        }
    }
    drop(hub);
}

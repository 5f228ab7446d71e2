//! `radmesh demo`: the whole journey of a Study on this machine, with real images and no set-up.
//!
//! A ministry, a spoke, a relay, a hub and a radiologist; each node is the `run` command in a process of its own,
//! over real sockets. The link between spoke and relay is a forwarder that is as slow as a rural one, is cut in the
//! middle and heals. It ends well only if every byte and the report arrived.

mod forwarder;
mod images;
mod processes;

use crate::cli::{CliError, at, print};
use clap::Args;
use forwarder::Forwarder;
use processes::{Running, free_port, radmesh};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// What the demo's link carries, each way: 2 Mbit/s, a fair day on rural 3G.
const LINK_BYTES_A_SECOND: u64 = 250_000;
/// Seconds of silence after which the demo's spoke closes a Study.
const QUIET_PERIOD_S: &str = "2";
/// How long a step may take before the demo says that it failed.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long the link stays cut.
const OUTAGE: Duration = Duration::from_secs(4);
const PASSPHRASE: &str = "demo passphrase, for play only";

/// Shows the whole journey: modality, spoke, relay, hub, reader, and the signed report back at the clinic.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Ends when the report is at the clinic; exit 0 only if every byte and the report arrived.
    #[arg(long)]
    once: bool,
    /// Leaves everything in this directory, to go on playing; made if absent.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

impl Demo {
    pub(super) fn run(self) -> Result<(), CliError> {
        let temporary = std::env::temp_dir().join(format!("radmesh-demo-{}", std::process::id()));
        let dir = self.keep.clone().unwrap_or(temporary);
        fs::create_dir_all(&dir).map_err(at(&dir))?;
        let dir = dir.canonicalize().map_err(at(&dir))?;
        let outcome = Stage::set(&dir).and_then(|stage| {
            stage.play()?;
            stage.farewell(self.once)
        });
        if self.keep.is_none() {
            // A temporary directory that can't be removed harms nobody.
            let _ = fs::remove_dir_all(&dir);
        }
        outcome
    }
}

/// The federation, standing.
struct Stage {
    dir: PathBuf,
    link: Forwarder,
    dicom: SocketAddr,
    _nodes: Vec<Running>,
    from: Instant,
}

impl Stage {
    fn set(dir: &Path) -> Result<Self, CliError> {
        let from = Instant::now();
        let place = |name: &str| dir.join(name).display().to_string();
        let passphrase = place("passphrase");
        fs::write(&passphrase, PASSPHRASE).map_err(at(Path::new(&passphrase)))?;
        let pass = ["--passphrase-file", &passphrase];
        let say = |text: &str| println!("{:5.1} s  {text}", from.elapsed().as_secs_f64());

        radmesh(
            &[&["federation", "init", "--dir", &place("ministry"), "--name", "Ministry of Health"], &pass[..]].concat(),
        )?;
        say("the ministry makes its keys: it owns the federation");

        let (relay, hub, dicom) = (free_port()?, free_port()?, free_port()?);
        let link = Forwarder::start(relay, LINK_BYTES_A_SECOND)
            .map_err(|error| CliError::internal(format!("the demo's link can't be made: {error}")))?;
        let listen = |address: SocketAddr| format!("/ip4/127.0.0.1/tcp/{}", address.port());
        let init = |name: &str, role: &str, more: &[&str]| {
            radmesh(&[&["init", "--dir", &place(role), "--name", name, "--role", role], more].concat())
        };
        init("Kamuzu", "hub", &[&["--listen", &listen(hub)], &pass[..]].concat())?;
        init("Exchange", "relay", &["--listen", &listen(relay), "--announce", &listen(link.address())])?;
        init("Kasungu", "spoke", &["--dicom-listen", &dicom.to_string(), "--quiet-period", QUIET_PERIOD_S])?;
        radmesh(
            &[&["person", "init", "--dir", &place("banda"), "--name", "Dr Banda", "--role", "radiologist"], &pass[..]]
                .concat(),
        )?;

        let admit = |role: &str, more: &[&str]| {
            let request = place(&format!("{role}/request.radmesh"));
            let head = ["federation", "admit", "--dir", &place("ministry"), &request, "--region", "Central"];
            radmesh(&[&head, more, &pass[..]].concat())
        };
        admit("hub", &["--key-maker", "--jurisdiction", "MW"])?;
        admit("relay", &["--jurisdiction", "MW"])?;
        admit("spoke", &["--home-hub", "Kamuzu", "--via", "Exchange", "--jurisdiction", "MW"])?;
        admit("banda", &[])?;
        say("it admits a spoke (Kasungu), a relay (Exchange), a hub (Kamuzu) and a radiologist (Dr Banda)");

        let mut nodes = Vec::new();
        for role in ["hub", "relay", "spoke"] {
            radmesh(&["join", "--dir", &place(role), &place("ministry/roster.radmesh")])?;
            nodes.push(Running::start(&dir.join(role))?);
        }
        radmesh(&[&["unlock", "--dir", &place("hub")], &pass[..]].concat())?;
        say("each node runs in its own process; the hub's reading keys are unlocked");
        Ok(Self { dir: dir.to_owned(), link, dicom, _nodes: nodes, from })
    }

    fn say(&self, text: &str) {
        println!("{:5.1} s  {text}", self.from.elapsed().as_secs_f64());
    }

    fn place(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn play(&self) -> Result<(), CliError> {
        let received = images::all();
        let bytes_in = self.acquire(&received)?;
        let sealed = self.cross_the_link()?;
        self.say(&format!(
            "all there: the hub verified every byte and signed for it; {} in, {} on the wire, of which {} sealed images",
            print::bytes(bytes_in),
            print::bytes(self.link.bytes()),
            print::bytes(sealed)
        ));
        let cases = self.read(&received)?;
        self.reports_come_home(&cases)
    }

    /// The modality sends; the spoke answers each Instance only once it is on its disk.
    fn acquire(&self, received: &[images::Image]) -> Result<u64, CliError> {
        self.approve_the_modality()?;
        let stored = images::store(self.dicom, received)?;
        let bytes = received.iter().map(|image| image.bytes.len() as u64).sum();
        let kinds = received.iter().map(|image| image.what).collect::<Vec<_>>().join(", ");
        self.say(&format!("the modality sent {stored} Instances by C-STORE ({kinds}), {}", print::bytes(bytes)));
        Ok(bytes)
    }

    fn approve_the_modality(&self) -> Result<(), CliError> {
        images::echo(self.dicom)?;
        let (spoke, title) = (self.place("spoke"), images::AE_TITLE);
        radmesh(&["modality", "accept", "--dir", &spoke, title, "--address", "127.0.0.1"])?;
        self.say("the spoke's technician lets the modality in");
        Ok(())
    }

    fn studies(&self) -> Result<Vec<Value>, CliError> {
        list(&["studies", "--dir", &self.place("spoke"), "--json"])
    }

    /// Waits for the sealed Studies to cross; cuts the link in the middle. Returns the sealed bytes.
    fn cross_the_link(&self) -> Result<u64, CliError> {
        let sum = |rows: &[Value], key: &str| rows.iter().filter_map(|row| row[key].as_u64()).sum::<u64>();
        let before = self.link.bytes();
        let wanted = images::studies();
        let sealed = self.until("the Studies to be packed and sealed", || {
            let rows = self.studies()?;
            let closed = rows.len() == wanted && rows.iter().all(|row| row["closed"] == true);
            Ok(closed.then(|| sum(&rows, "sealed_bytes")))
        })?;
        self.say(&format!("{wanted} Studies are packed and sealed to the reading pool: {}", print::bytes(sealed)));

        self.until("half of them to cross", || Ok((self.link.bytes() - before > sealed / 2).then_some(())))?;
        self.link.cut();
        self.say(&format!("the link is cut, {} into the transfer", print::bytes(self.link.bytes() - before)));
        thread::sleep(OUTAGE);
        self.link.heal();
        self.say("the link is back; what the hub and the relay have is not sent again");

        self.until("every byte at the hub", || {
            let rows = self.studies()?;
            Ok(rows.iter().all(|row| row["delivered"] == true).then(|| sum(&rows, "sealed_bytes")))
        })
    }

    /// The radiologist claims, gets the original DICOM and signs.
    fn read(&self, received: &[images::Image]) -> Result<Vec<String>, CliError> {
        let hub = self.place("hub");
        let rows = self.until("the hub to have opened and counted", || {
            let rows = list(&["worklist", "--dir", &hub, "--json"])?;
            let ready = rows.len() == images::studies() && rows.iter().all(|row| row["ready_to_read"] == true);
            Ok(ready.then_some(rows))
        })?;
        let (person, passphrase) = (self.place("banda"), self.place("passphrase"));
        let who = ["--as", &person, "--passphrase-file", &passphrase];
        let mut arrived = BTreeMap::new();
        let mut cases = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            let case = row["case"].as_str().unwrap_or_default().to_owned();
            radmesh(&[&["claim", "--dir", &hub, &case], &who[..]].concat())?;
            let to = self.place(&format!("read/{number}"));
            radmesh(&["export", "--dir", &hub, &case, "--to", &to])?;
            images::hashes_below(Path::new(&to), &mut arrived)?;
            let text = self.place(&format!("report-{number}.txt"));
            fs::write(&text, "No acute abnormality.\nThis is a demonstration: nobody has read this image.\n")
                .map_err(at(Path::new(&text)))?;
            let status = ["--status", "final", "--text-file", &text];
            radmesh(&[&["report", "--dir", &hub, &case], &who[..], &status[..]].concat())?;
            cases.push(case);
        }
        let missing = received.iter().filter(|image| !arrived.contains_key(&image.data_set_hash())).count();
        if missing > 0 {
            return Err(CliError::internal(format!(
                "{missing} of {} Instances did not arrive as sent",
                received.len()
            )));
        }
        self.say(&format!(
            "Dr Banda claimed {} cases, got {} Instances, each equal to what the modality sent, and signed her reports",
            cases.len(),
            received.len()
        ));
        Ok(cases)
    }

    fn reports_come_home(&self, cases: &[String]) -> Result<(), CliError> {
        let spoke = self.place("spoke");
        let rows = self.until("the reports at the spoke", || {
            let rows = list(&["reports", "--dir", &spoke, "--json"])?;
            Ok((rows.len() >= cases.len()).then_some(rows))
        })?;
        self.say("the signed reports are back at the clinic:");
        for row in &rows {
            let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
            println!(
                "         {}  {}  {}",
                text("status").to_uppercase(),
                text("reader"),
                text("text").lines().next().unwrap_or("")
            );
        }
        let pdf = self.place("report.pdf");
        radmesh(&["reports", "--dir", &spoke, "--pdf", &cases[0], "--to", &pdf])?;
        self.say("and one is an A4 page that a nurse can print: report.pdf in the demo's directory");
        Ok(())
    }

    fn farewell(&self, once: bool) -> Result<(), CliError> {
        if once {
            self.say("every byte and every report arrived");
            return Ok(());
        }
        let (spoke, hub) = (self.place("spoke"), self.place("hub"));
        let reader = format!("--as {} --passphrase-file {}", self.place("banda"), self.place("passphrase"));
        let radmesh = std::env::current_exe().map_or_else(|_| "radmesh".into(), |path| path.display().to_string());
        println!("\nThe federation runs until you press Enter, and takes DICOM at {} as RADMESH.", self.dicom);
        println!("In another terminal, after `alias radmesh={radmesh}`:");
        println!("  radmesh send --dir {spoke} FILE.dcm --priority stat --indication \"fell from a tree\" --follow");
        println!("  radmesh studies --dir {spoke}");
        println!("  radmesh worklist --dir {hub}");
        println!("  radmesh claim --dir {hub} CASE {reader}");
        println!("  radmesh export --dir {hub} CASE --to images");
        println!("  radmesh report --dir {hub} CASE {reader} --status final --text-file TEXT");
        println!("  radmesh reports --dir {spoke}");
        println!("  radmesh status --dir {hub}");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(|error| CliError::internal(error.to_string()))?;
        Ok(())
    }

    /// Asks until there is an answer; a step that takes longer than a person would wait is a failure.
    fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Result<Option<T>, CliError>) -> Result<T, CliError> {
        let from = Instant::now();
        while from.elapsed() < PATIENCE {
            if let Some(answer) = ask()? {
                return Ok(answer);
            }
            thread::sleep(Duration::from_millis(200));
        }
        let hint = format!("the nodes' logs are in {}/*/log", self.dir.display());
        Err(CliError::internal(format!("waited {} s in vain for {what}", PATIENCE.as_secs())).hint(hint))
    }
}

fn list(args: &[&str]) -> Result<Vec<Value>, CliError> {
    let text = radmesh(args)?;
    serde_json::from_str(&text).map_err(|error| CliError::internal(format!("a list can't be read: {error}")))
}

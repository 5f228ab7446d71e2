//! `radmesh federation recover`: opens a case's parcels with the recovery key, when its hospital is gone.

use super::{FederationKeys, read_roster};
use crate::cli::print::say;
use crate::{
    cli::{CliError, codec_worker, given, passphrase::Passphrase, print, private},
    control::{Request, Wire},
    keystore::Keystore,
};
use clap::Args;
use radmesh_hub::export::{Form, Outlet, Unpacking};
use radmesh_protocol::{
    id::{CaseId, ManifestId},
    limits::CHUNK_BYTES,
    parcel::{
        manifest::Manifest,
        open::{OpenError, Vouched, Witness},
    },
    roster::Roster,
};
use radmesh_store::{Disk, Store};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

/// PARCEL is the sealed file of any node that holds it, NODE/parcels/ID.parcel. Its signed manifest is asked of the node
/// that runs there, or read from its journal when none runs: to recover on another machine, copy the node's directory.
/// Instances too large for one parcel need all the parcels they lie in; give NODE/parcels/*.parcel when in doubt.
#[derive(Debug, Args)]
pub(in crate::cli) struct Recover {
    /// The federation's directory.
    #[arg(long, value_name = "FED")]
    dir: PathBuf,
    /// The parcels' files.
    #[arg(required = true, value_name = "PARCEL")]
    parcels: Vec<PathBuf>,
    /// Where to write the DICOM files, a directory a case; made if absent.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Recover {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let roster = read_roster(&self.dir)?;
        let keys = FederationKeys::open(&self.dir, &self.passphrase)?;
        let workers = codec_worker::workers();
        let mut cases: BTreeMap<CaseId, (Unpacking, Folder)> = BTreeMap::new();
        let total = self.parcels.len() as u64;
        let mut progress = print::Progress::new("opening", print::Unit::Things("parcels"), total);
        for (done, path) in (1..).zip(&self.parcels) {
            let (manifest, packed) = open(path, &roster, &keys)?;
            let case = manifest.core().case;
            let (unpacking, folder) = cases.entry(case).or_insert_with(|| {
                let dir = self.to.join(case.to_string());
                (Unpacking::of(case, Form::Verbatim, Arc::clone(&workers)), Folder { dir, files: 0, bytes: 0 })
            });
            unpacking.parcel(&manifest, &packed, folder).map_err(|error| wrong(path, &error))?;
            progress.at(done, total);
        }
        progress.done();
        for (unpacking, folder) in cases.into_values() {
            say!("{} files, {}, in {}", folder.files, print::bytes(folder.bytes), folder.dir.display());
            unpacking.finish().map_err(|error| {
                CliError::user(error.to_string()).hint("name the case's other parcels too: NODE/parcels/*.parcel")
            })?;
        }
        Ok(())
    }
}

fn wrong(path: &Path, error: &dyn std::fmt::Display) -> CliError {
    CliError::user(format!("{}: {error}", path.display()))
}

/// A parcel's manifest and the bytes that were packed.
fn open(path: &Path, roster: &Roster, keys: &FederationKeys) -> Result<(Manifest, Zeroizing<Vec<u8>>), CliError> {
    let manifest = Manifest::parse(&signed_manifest(path)?).map_err(|error| wrong(path, &error))?;
    if let Err(error @ OpenError::Revoked { .. }) = Vouched::by(roster, &manifest, Witness::None) {
        eprintln!("{}: {error}", path.display());
    }
    let vouched = Vouched::by(roster, &manifest, Witness::Ministry).map_err(|error| wrong(path, &error))?;
    let key = vouched.unwrap_key(&keys.recovery).map_err(|error| wrong(path, &error))?;
    let mut file = File::open(path).map_err(given(path))?;
    let packed = vouched.open(&key, &mut |chunk| read_chunk(&mut file, chunk)).map_err(|error| wrong(path, &error))?;
    Ok((manifest, packed))
}

/// The parcel's signed manifest, from the node whose directory it lies in.
fn signed_manifest(path: &Path) -> Result<Vec<u8>, CliError> {
    let parcel = path.canonicalize().map_err(given(path))?;
    let id = parcel.file_stem().and_then(|stem| stem.to_str()?.parse::<ManifestId>().ok());
    let node = parcel.parent().and_then(Path::parent);
    let (Some(id), Some(node)) = (id, node) else {
        return Err(
            CliError::user(format!("{}: this is no parcel's file", path.display())).hint("name NODE/parcels/ID.parcel")
        );
    };
    let unknown = || CliError::user(format!("the node in {} has no manifest of this parcel", node.display()));
    if let Ok(wire) = Wire::connect(node) {
        let bytes: Option<Vec<u8>> = wire.ask(&Request::Manifest { id: id.to_string() })?;
        return bytes.ok_or_else(unknown);
    }
    let keys = Keystore::open(node)?;
    let disk = Disk::open(node).map_err(|error| CliError::configuration(error.to_string()))?;
    let damaged = |error: radmesh_store::OpenError| CliError::internal(error.to_string());
    let (store, _) = Store::open(Arc::new(disk), &keys.at_rest).map_err(damaged)?;
    store.manifest(id).map_err(damaged)?.ok_or_else(unknown)
}

/// One chunk of the sealed file; `None` if it can't be read.
fn read_chunk(file: &mut File, chunk: u32) -> Option<Vec<u8>> {
    file.seek(SeekFrom::Start(u64::from(chunk) * u64::from(CHUNK_BYTES))).ok()?;
    let mut bytes = Vec::new();
    file.by_ref().take(u64::from(CHUNK_BYTES)).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Where the files go; names are numbers.
struct Folder {
    dir: PathBuf,
    files: usize,
    bytes: u64,
}

impl Outlet for Folder {
    fn file(&mut self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let path = self.dir.join(name);
        path.parent().map_or(Ok(()), private::create_dir_all)?;
        std::io::Write::write_all(&mut private::create_new(&path)?, bytes)?;
        self.files += 1;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

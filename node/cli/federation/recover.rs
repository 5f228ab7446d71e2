//! `radmesh federation recover`: opens a parcel with the recovery key, when its hospital is gone.

use super::{FederationKeys, read_roster};
use crate::{
    cli::{CliError, at, passphrase::Passphrase, print},
    control::{Request, Wire},
    keystore::Keystore,
};
use clap::Args;
use radmesh_protocol::{
    id::ManifestId,
    limits::CHUNK_BYTES,
    parcel::{
        manifest::Manifest,
        open::{Vouched, Witness},
    },
};
use radmesh_store::{Disk, Store};
use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

/// PARCEL is the sealed file of any node that holds it, NODE/parcels/ID.parcel. Its signed manifest is asked of the node
/// that runs there, or read from its journal when none runs: to recover on another machine, copy the node's directory.
#[derive(Debug, Args)]
pub(in crate::cli) struct Recover {
    /// The federation's directory.
    #[arg(long, value_name = "FED")]
    dir: PathBuf,
    /// The parcel's file.
    parcel: PathBuf,
    /// Where to write the DICOM files; made if absent.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Recover {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let roster = read_roster(&self.dir)?;
        let bytes = self.manifest()?;
        let wrong = |error: &dyn std::fmt::Display| CliError::user(format!("{}: {error}", self.parcel.display()));
        let manifest = Manifest::parse(&bytes).map_err(|error| wrong(&error))?;
        let vouched = Vouched::by(&roster, &manifest, Witness::None).map_err(|error| wrong(&error))?;
        let keys = FederationKeys::open(&self.dir, &self.passphrase)?;
        let key = vouched.unwrap_key(&keys.recovery).map_err(|error| wrong(&error))?;
        let mut file = File::open(&self.parcel).map_err(at(&self.parcel))?;
        let packed = vouched.open(&key, &mut |chunk| read_chunk(&mut file, chunk)).map_err(|error| wrong(&error))?;
        fs::create_dir_all(&self.to).map_err(at(&self.to))?;
        let mut folder = Folder { dir: &self.to, files: 0, bytes: 0 };
        let unpacked =
            radmesh_hub::export::unpack(&manifest, &packed, radmesh_hub::export::Form::Verbatim, &mut folder);
        unpacked.map_err(|error| wrong(&error))?;
        println!("{} files, {}, in {}", folder.files, print::bytes(folder.bytes), self.to.display());
        Ok(())
    }
}

impl Recover {
    /// The parcel's signed manifest, from the node whose directory it lies in.
    fn manifest(&self) -> Result<Vec<u8>, CliError> {
        let parcel = self.parcel.canonicalize().map_err(at(&self.parcel))?;
        let id = parcel.file_stem().and_then(|stem| stem.to_str()?.parse::<ManifestId>().ok());
        let node = parcel.parent().and_then(Path::parent);
        let (Some(id), Some(node)) = (id, node) else {
            return Err(CliError::user(format!("{}: this is no parcel's file", self.parcel.display()))
                .hint("name NODE/parcels/ID.parcel"));
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
}

/// One chunk of the sealed file; `None` if it can't be read.
fn read_chunk(file: &mut File, chunk: u32) -> Option<Vec<u8>> {
    file.seek(SeekFrom::Start(u64::from(chunk) * u64::from(CHUNK_BYTES))).ok()?;
    let mut bytes = Vec::new();
    file.by_ref().take(u64::from(CHUNK_BYTES)).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Where the files go; names are numbers.
struct Folder<'a> {
    dir: &'a Path,
    files: usize,
    bytes: u64,
}

impl radmesh_hub::export::Outlet for Folder<'_> {
    fn file(&mut self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let path = self.dir.join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        std::io::Write::write_all(&mut File::create_new(&path)?, bytes)?;
        self.files += 1;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

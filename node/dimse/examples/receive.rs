//! A C-STORE SCP that writes each object's data set to a folder and prints a line for it: to try a modality with.
//!
//! `cargo run -p radmesh-dimse --example receive -- 127.0.0.1:11112 RADMESH FOLDER`. The bytes are as received, without
//! file meta; the file is named `SOP Instance UID.transfer syntax`. Prints UIDs: for test objects only.

use radmesh_dimse::{
    AeTitle, StoreStatus,
    server::{self, Incoming, Intake, Sender, Sink, Verdict},
    sop_class::SopClasses,
};
use std::{
    error::Error,
    fs::{self, File},
    io::Write,
    path::PathBuf,
    sync::Arc,
};

struct Folder(PathBuf);

struct Open {
    file: File,
    partial: PathBuf,
    whole: PathBuf,
    line: String,
}

impl Intake for Folder {
    type Sink = Open;

    fn judge(&self, _: &Sender) -> Verdict {
        Verdict::Accepted
    }

    fn begin(&self, incoming: Incoming) -> Result<Open, StoreStatus> {
        let name = format!("{}.{}", incoming.sop_instance_uid.as_str(), incoming.transfer_syntax.as_str());
        let partial = self.0.join(format!("{name}.partial"));
        let file = File::create_new(&partial).map_err(|_| StoreStatus::OutOfResources)?;
        let Sender { calling_ae, called_ae, address } = &incoming.sender;
        let line = format!("{calling_ae}@{address} -> {called_ae}: {} {name}", incoming.sop_class_uid.as_str());
        Ok(Open { file, partial, whole: self.0.join(name), line })
    }
}

impl Sink for Open {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreStatus> {
        self.file.write_all(bytes).map_err(|_| StoreStatus::OutOfResources)
    }

    fn finish(self) -> StoreStatus {
        match self.file.sync_all().and_then(|()| fs::rename(&self.partial, &self.whole)) {
            Ok(()) => {
                println!("{}", self.line);
                StoreStatus::Stored
            }
            Err(_) => StoreStatus::OutOfResources,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Gone already if it was renamed.
        let _ = fs::remove_file(&self.partial);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, title, folder] = arguments.as_slice() else { return Err("ADDRESS AE-TITLE FOLDER".into()) };
    fs::create_dir_all(folder)?;
    let config = server::Config { sop_classes: SopClasses::AnyStorage, ..server::Config::new(AeTitle::parse(title)?) };
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    server::serve(listener, config, Arc::new(Folder(folder.into())), std::future::pending()).await;
    Ok(())
}

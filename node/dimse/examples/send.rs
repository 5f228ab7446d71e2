//! A C-ECHO and C-STORE SCU for files of PS3.10: to try a PACS with.
//!
//! `cargo run -p radmesh-dimse --example send -- 127.0.0.1:11112 CALLED CALLING FILE...`. Prints the outcome of each
//! file; without files, the status of an echo.

use radmesh_codec::scan::{Form, scan};
use radmesh_dimse::{
    AeTitle,
    client::{self, Outgoing},
};
use std::{
    error::Error,
    fs::File,
    io::{BufReader, Seek, SeekFrom},
};

fn outgoing(path: &str) -> Result<Outgoing, Box<dyn Error>> {
    let found = scan(BufReader::new(File::open(path)?), Form::File)?;
    let (path, at) = (path.to_owned(), found.origin.data_set);
    Ok(Outgoing {
        sop_class_uid: found.sop_class.ok_or("no SOP Class UID")?,
        sop_instance_uid: found.sop_instance,
        transfer_syntax: found.origin.transfer_syntax,
        open: Box::new(move || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(at))?;
            Ok(Box::new(file))
        }),
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, called, calling, files @ ..] = arguments.as_slice() else {
        return Err("ADDRESS CALLED CALLING [FILE...]".into());
    };
    let config = client::Config::new(AeTitle::parse(calling)?, AeTitle::parse(called)?);
    if files.is_empty() {
        println!("echo: {}", client::echo(address, &config).await?);
        return Ok(());
    }
    let objects = files.iter().map(|path| outgoing(path)).collect::<Result<_, _>>()?;
    let batch = client::store(address, &config, objects).await?;
    for (file, outcome) in files.iter().zip(&batch.outcomes) {
        println!("{file}: {outcome:?}");
    }
    Ok(batch.ended?)
}

//! Roster files, statements and requests from hostile bytes: whoever joins reads them before anyone is trusted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_protocol::{
    person::PersonKeyFile,
    roster::{
        Roster,
        fold::file_statements,
        request::{NodeRequest, PersonRequest},
        statement::Statement,
    },
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(roster) = Roster::from_file(bytes) {
        let again = Roster::from_file(&roster.to_file()).expect("what was taken is taken again");
        assert_eq!(again.digest(), roster.digest());
    }
    if let Ok(statements) = file_statements(bytes) {
        statements.into_iter().for_each(read);
    }
    read(bytes);
    let _ = NodeRequest::parse(bytes);
    let _ = PersonRequest::parse(bytes);
    let _ = PersonKeyFile::parse(bytes);
});

fn read(bytes: &[u8]) {
    if let Ok(statement) = Statement::parse(bytes) {
        assert_eq!(statement.bytes(), bytes);
        let _ = statement.body();
    }
}

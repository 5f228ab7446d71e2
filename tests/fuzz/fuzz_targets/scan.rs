//! Any bytes at the scanner's door: it never panics, and never says that it read more than there is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use radmesh_codec::{
    scan::{Form, scan},
    uid::TransferSyntax,
};

fuzz_target!(|bytes: &[u8]| {
    let syntaxes = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"];
    let forms = syntaxes.map(|uid| TransferSyntax::parse(uid).expect("UIDs of the standard are UIDs"));
    let forms = forms.map(|transfer_syntax| Form::DataSet { transfer_syntax });
    for form in [Form::File].into_iter().chain(forms) {
        if let Ok(found) = scan(bytes, form)
            && !found.origin.transfer_syntax.as_str().ends_with(".99")
        {
            assert!(found.bytes <= bytes.len() as u64);
            assert!(found.header_ranges().iter().all(|range| range.end <= bytes.len() as u64));
        }
    }
});

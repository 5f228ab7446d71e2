//! Two hubs, a reader on each, one case: one wins, the other is told who, and a lease ends by itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use serde_json::Value;
use std::path::Path;
use world::{NodePlace, World, radmesh, run, until};

fn claim(world: &World, hub: &NodePlace, case: &str, reader: &str) -> Result<Value, String> {
    let (dir, person, pass) = (hub.dir.to_str().unwrap(), world.text(reader), world.text("passphrase"));
    let done = run(&["claim", "--dir", dir, case, "--as", &person, "--passphrase-file", &pass, "--json"]);
    if done.status.success() {
        return Ok(serde_json::from_slice(&done.stdout).unwrap());
    }
    Err(String::from_utf8(done.stderr).unwrap())
}

#[test]
fn one_reader_wins_the_other_is_told_who_and_the_lease_ends_by_itself() {
    let world = World::with(&["--claim-lease", "4"]);
    let (home, other) = (world.init("home", "hub", &[]), world.init("other", "hub", &[]));
    let spoke = world.init("spoke", "spoke", &[]);
    world.admit("home", &["--key-maker"]);
    world.admit("other", &[]);
    world.admit("spoke", &["--home-hub", "home"]);
    world.person("banda");
    world.person("phiri");
    let running: Vec<_> = [&home, &other, &spoke]
        .into_iter()
        .map(|place| {
            world.join(place);
            world.start(place)
        })
        .collect();
    world.unlock(&home);
    world.unlock(&other);
    let film = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pydicom/CT_small.dcm");
    radmesh(&["send", "--dir", spoke.dir.to_str().unwrap(), film.to_str().unwrap()]);
    let case = until("both hubs list the case with its order open", || {
        let listed = [&home, &other].map(|hub| hub.json(&["worklist"]));
        let open = listed.iter().all(|rows| rows[0]["order_is_open"] == true);
        open.then(|| listed[0][0]["case"].as_str().unwrap().to_owned())
    });

    let first = claim(&world, &other, &case, "phiri").unwrap();
    assert_eq!(first["outcome"], "granted");
    let refused = claim(&world, &home, &case, "banda").unwrap_err();
    assert!(refused.contains("phiri") && refused.contains("seconds"), "{refused}");
    let second = until("the lease has ended", || claim(&world, &home, &case, "banda").ok());
    assert_eq!((&second["outcome"], &second["holder"]), (&"granted".into(), &"banda".into()));
    assert!(second["counter"].as_u64() > first["counter"].as_u64(), "a later claim has a higher fencing token");
    drop(running);
}

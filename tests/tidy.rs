//! The house keeps its shape: rooms use each other one way only, and the tables hold together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Who may use whom; what is not listed is not allowed. The same table stands in src/lib.rs.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("base", &[]),
    ("schema", &["base"]),
    ("go_plugin", &["base"]),
    ("logical", &["schema", "base"]),
    ("vault", &["go_plugin", "logical", "base"]),
    ("framework", &["logical", "schema", "base"]),
    ("providers", &["schema", "base"]),
    ("engine", &["framework", "logical", "providers", "schema", "base"]),
];

/// Longest source file, in lines. Most are a third of that; past this a file holds more than one noun.
const LONGEST_FILE: usize = 600;

#[test]
fn rooms_use_each_other_one_way_only() {
    let rooms: BTreeMap<&str, &[&str]> = MAY_USE.into();
    let mut breaches = Vec::new();
    for (room, may) in &rooms {
        for file in sources(&root().join("src").join(room)) {
            let text = std::fs::read_to_string(&file).expect("a source file is text");
            for other in rooms.keys().filter(|other| *other != room && !may.contains(other)) {
                if uses(&text, other) {
                    breaches.push(format!("{} uses {other}", file.display()));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

#[test]
fn every_room_is_in_the_table_and_on_the_map() {
    let map = std::fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let folders = std::fs::read_dir(root().join("src")).expect("src").flatten().filter(|entry| entry.path().is_dir());
    for folder in folders {
        let name = folder.file_name().into_string().expect("a name in ASCII");
        let (_, may) =
            MAY_USE.iter().find(|(room, _)| *room == name).unwrap_or_else(|| panic!("{name} is not in the table"));
        let row = map.lines().find(|line| line.starts_with(&format!("//! | [`{name}`]"))).expect("a row of the map");
        let listed = row.trim_end_matches('|').rsplit('|').next().expect("a last column");
        for other in *may {
            assert!(listed.contains(other), "the map does not say that {name} may use {other}");
        }
    }
}

#[test]
fn protobuf_stays_in_its_rooms() {
    for room in ["base", "schema", "logical", "framework", "providers", "engine"] {
        for file in sources(&root().join("src").join(room)) {
            let text = std::fs::read_to_string(&file).expect("a source file is text");
            assert!(!text.contains("prost") && !text.contains("tonic::"), "{} sees protobuf", file.display());
        }
    }
}

#[test]
fn the_engine_and_the_framework_name_no_vendor() {
    for room in ["engine", "framework", "logical", "schema", "vault", "go_plugin"] {
        for file in sources(&root().join("src").join(room)) {
            let text = std::fs::read_to_string(&file).expect("a source file is text").to_lowercase();
            for vendor in ["openai", "openrouter", "litellm", "anthropic"] {
                assert!(!text.contains(vendor), "{} names {vendor}", file.display());
            }
        }
    }
}

#[test]
fn source_files_are_short_enough_to_read() {
    for file in sources(&root().join("src")) {
        let lines = std::fs::read_to_string(&file).expect("a source file is text").lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines", file.display());
    }
}

/// `crate::room` anywhere but in a comment.
fn uses(text: &str, room: &str) -> bool {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
        line.match_indices(&format!("crate::{room}"))
            .any(|(at, found)| !line[at + found.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    })
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, generated code left out.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "gen") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

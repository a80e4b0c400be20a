//! The code in `src/*/gen` is what `proto/*.proto` generates. Nobody who builds needs a code generator:
//! the generated code is checked in, and this test fails where it differs.
//! `UPDATE_PROTO=1 cargo test --test it proto` writes it anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One folder of generated code.
struct Generated {
    folder: &'static str,
    protos: &'static [&'static str],
    /// Packages whose messages carry credentials, and which therefore get no `Debug`.
    secret_packages: &'static [&'static str],
}

const ALL: [Generated; 2] = [
    Generated { folder: "src/go_plugin/gen", protos: &["plugin.proto", "health.proto"], secret_packages: &[] },
    Generated {
        folder: "src/vault/gen",
        protos: &["backend.proto", "logical.proto", "multiplexing.proto"],
        secret_packages: &[".pb"],
    },
];

#[test]
fn the_generated_code_is_what_the_proto_files_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for generated in ALL {
        let fresh = generate(root, &generated);
        let folder = root.join(generated.folder);
        if std::env::var_os("UPDATE_PROTO").is_some() {
            for (name, text) in &fresh {
                fs::write(folder.join(name), text).expect("the generated file is written");
            }
        }
        let stored = rust_files(&folder);
        assert_eq!(
            fresh.keys().collect::<Vec<_>>(),
            stored.keys().filter(|name| *name != "mod.rs").collect::<Vec<_>>(),
            "files of {}: run UPDATE_PROTO=1 cargo test --test it proto, and delete what is no longer generated",
            generated.folder
        );
        for (name, text) in &fresh {
            assert!(
                stored.get(name) == Some(text),
                "{}/{name} is not what proto/ generates: run UPDATE_PROTO=1 cargo test --test it proto",
                generated.folder
            );
        }
    }
}

fn generate(root: &Path, generated: &Generated) -> BTreeMap<String, String> {
    let out = tempfile::tempdir().expect("a folder for the generated code");
    let descriptors = protox::compile(generated.protos, [root.join("proto")]).expect("the proto files compile");
    tonic_prost_build::configure()
        .out_dir(out.path())
        .build_transport(false)
        .btree_map(".")
        .skip_debug(generated.secret_packages)
        .compile_fds(descriptors)
        .expect("the code is generated");
    let mut files = rust_files(out.path());
    files.retain(|_, text| !text.lines().all(|line| line.starts_with("//"))); // well-known types: crate prost-types
    files
}

fn rust_files(folder: &Path) -> BTreeMap<String, String> {
    let paths = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    let name = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| (name(&path), fs::read_to_string(&path).expect("a text")))
        .collect()
}

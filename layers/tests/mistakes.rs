//! The commonest mistakes: the compiler's message names the trait, and contains the remedy.
//!
//! The programs in `mistakes/` are the binaries of a package of their own, in the target directory. They do not compile.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Each program, the trait that its message names, and the remedy.
const MISTAKES: [(&str, &str, &str); 6] = [
    ("classifier", "Classify<u16", "expected function signature `for<'a, 'b> fn(Result<&'a _, &'b Box<_>>)"),
    ("plain_services", "Endpoint<()>", "for plain services use `RateLimitBalanceLayer::services(..)`"),
    (
        "error_type",
        "`IntoServiceError`",
        "implement `From<Exhausted>` for `std::io::Error`, or put `map_err(",
    ),
    ("number", "`Setting`", "write a number with its type, as in `2u32`"),
    ("tracking", "TrackOutcome<QuotaGuard", "a classifier goes into the `new` of the layer"),
    ("request_clone", "`Clone`", "#[derive(Clone)]"),
];

/// Writes the package, with the versions of the workspace, and returns its folder.
fn package() -> io::Result<PathBuf> {
    let (layers, folder) =
        (Path::new(env!("CARGO_MANIFEST_DIR")), Path::new(env!("CARGO_TARGET_TMPDIR")).join("mistakes"));
    let mut manifest = format!(
        "workspace = {{}}\n\
         package = {{ name = 'mistakes', edition = '2024' }}\n\
         [dependencies]\n\
         tollgate-layers = {{ path = '{}' }}\n\
         tower = {{ version = '0.5', default-features = false, features = ['util'] }}\n",
        layers.display()
    );
    for (name, ..) in MISTAKES {
        let path = layers.join("tests/mistakes").join(name).with_extension("rs");
        manifest += &format!("[[bin]]\nname = '{name}'\npath = '{}'\n", path.display());
    }
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::copy(layers.join("../Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(folder)
}

#[test]
fn the_commonest_mistakes_have_errors_with_the_trait_and_the_remedy() {
    let folder = package().expect("the target directory is writable");
    for (name, named, remedy) in MISTAKES {
        let mut check = Command::new(env!("CARGO"));
        check.args(["check", "--offline", "--quiet", "--color=never", "--target-dir=target", "--bin", name]);
        let output = check.current_dir(&folder).output().expect("cargo runs");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name} compiles");
        assert!(message.contains(named) && message.contains(remedy), "{name}: {message}");
    }
}

//! Writes the array of rows, with each provider's samples, from this package's own dependencies.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let manifest: toml::Table = fs::read_to_string(here.join("Cargo.toml"))?.parse()?;
    let dependencies =
        manifest.get("dependencies").and_then(toml::Value::as_table).ok_or("no dependencies")?;
    let mut array = String::from("&[\n");
    for (name, value) in dependencies {
        // The other dependencies have no path of their own.
        let Some(path) = value.get("path").and_then(toml::Value::as_str) else { continue };
        let samples = samples(&here.join(path).join("samples"))?;
        writeln!(array, "Entry {{ provider: &{name}::PROVIDER, samples: {samples} }},")?;
    }
    array.push(']');
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("entries.rs"), array)?;
    println!("cargo::rerun-if-changed=Cargo.toml");
    Ok(())
}

/// The sample files of a provider, by the names they have without `.http`.
fn samples(folder: &Path) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?,
        Err(_) => Vec::new(),
    };
    files.retain(|path| path.extension().is_some_and(|extension| extension == "http"));
    files.sort();
    let mut array = String::from("&[");
    for path in files {
        let name = path.file_stem().and_then(|name| name.to_str()).ok_or("a sample's name must be UTF-8")?;
        let file = fs::canonicalize(&path)?;
        write!(array, "Sample {{ name: {name:?}, file: include_str!({file:?}) }},")?;
    }
    array.push(']');
    Ok(array)
}

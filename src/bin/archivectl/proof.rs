//! The proof of `verify --proof`: one JSON document, written as it comes, so that no number of objects fills the
//! memory. Its form is `docs/proof.schema.json`.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, Write};
use std::path::{Path, PathBuf};

use recording_archiver::ops::verify::{Figures, Item};
use recording_archiver::ops::{Error, Kind, Verdict};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::out::json_line;

/// Name and version of the document's form.
const SCHEMA: &str = "recording-archiver.proof/1";

/// A proof on its way. Until it is finished there is no file under its name, and if it never is, nothing stays.
pub(crate) struct Proof {
    path: PathBuf,
    parts: Parts,
    written: RefCell<Written>,
}

/// The files in which a proof grows, beside its own; they go away with it.
struct Parts {
    /// The document, up to its last object.
    document: PathBuf,
    /// Its findings, which come in between.
    findings: PathBuf,
    /// Its objects that ended lawfully, likewise.
    gone: PathBuf,
}

struct Written {
    document: BufWriter<Hashed>,
    findings: BufWriter<File>,
    gone: BufWriter<File>,
    /// Number of entries in each of the three.
    counts: [u64; 3],
}

/// A file, and the SHA-256 of what was written to it.
struct Hashed {
    file: File,
    digest: Sha256,
}

impl Proof {
    /// Begins a proof under `path`. Fails where there is a file already: a proof is never replaced.
    pub(crate) fn begin(path: &Path) -> Result<Self, Error> {
        if fs::symlink_metadata(path).is_ok() {
            return Err(there_already(path));
        }
        let own = uuid::Uuid::new_v4().simple();
        let part = |kind: &str| path.with_added_extension(format!("{own}.{kind}"));
        let parts = Parts {
            document: part("objects"),
            findings: part("findings"),
            gone: part("gone"),
        };
        let written = Written::begin(&parts).map_err(|error| failed(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            parts,
            written: RefCell::new(written),
        })
    }

    /// Adds an object that is proven, or a finding.
    pub(crate) fn add(&self, item: &Item) -> io::Result<()> {
        self.written.borrow_mut().add(item)
    }

    /// Ends the document and gives it its name. Returns its SHA-256, in hex.
    pub(crate) fn finish(self, figures: &Figures) -> Result<String, Error> {
        let written = self.written.into_inner();
        let digest = written.end(figures).and_then(|digest| {
            // Unlike a rename, a link replaces nothing.
            fs::hard_link(&self.parts.document, &self.path).map(|()| digest)
        });
        digest.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => there_already(&self.path),
            _ => failed(&self.path, &error),
        })
    }
}

impl Written {
    fn begin(parts: &Parts) -> io::Result<Self> {
        let open = |path: &Path| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).open(path)
        };
        let document = Hashed {
            file: open(&parts.document)?,
            digest: Sha256::new(),
        };
        let mut begun = Self {
            document: BufWriter::new(document),
            findings: BufWriter::new(open(&parts.findings)?),
            gone: BufWriter::new(open(&parts.gone)?),
            counts: [0; 3],
        };
        write!(begun.document, "{{\"schema\":\"{SCHEMA}\",\n\"objects\":[")?;
        Ok(begun)
    }

    fn add(&mut self, item: &Item) -> io::Result<()> {
        let [objects, found, gone] = &mut self.counts;
        let (out, count): (&mut dyn Write, _) = match item {
            Item::Proven(_) => (&mut self.document, objects),
            Item::Finding(_) => (&mut self.findings, found),
            Item::Gone(_) => (&mut self.gone, gone),
        };
        let separator = if *count == 0 { "" } else { "," };
        *count += 1;
        write!(out, "{separator}\n{}", json_line(item))
    }

    fn end(self, figures: &Figures) -> io::Result<String> {
        let mut document = self.document;
        for (name, entries) in [("findings", self.findings), ("gone", self.gone)] {
            write!(document, "],\n\"{name}\":[")?;
            let mut entries = entries.into_inner()?;
            entries.rewind()?;
            io::copy(&mut entries, &mut document)?;
        }
        let verdict = match figures.verdict() {
            Verdict::Clean => "clean",
            Verdict::Findings => "findings",
            Verdict::Nothing => "nothing",
        };
        // Figures have text keys and finite numbers.
        let mut summary = serde_json::to_value(figures).unwrap_or_default();
        let scope = summary.get_mut("scope").map(Value::take);
        if let Some(summary) = summary.as_object_mut() {
            summary.remove("scope");
        }
        let rest = json!({"checkpoint": null, "scope": scope, "summary": summary, "verdict": verdict});
        let rest = json_line(&rest);
        writeln!(document, "],\n{}", rest.trim_start_matches('{'))?;
        let Hashed { file, digest } = document.into_inner()?;
        file.sync_all()?;
        Ok(hex::encode(digest.finalize()))
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        // What cannot be removed is named after the proof, and holds nothing that is not in it.
        for part in [&self.document, &self.findings, &self.gone] {
            let _ = fs::remove_file(part);
        }
    }
}

fn there_already(path: &Path) -> Error {
    let error = Error::new(Kind::File, format!("there is a file {} already", path.display()));
    error.remedy("a proof replaces nothing: give another name")
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let error = Error::new(
        Kind::File,
        format!("the proof {} cannot be written: {error}", path.display()),
    );
    error.remedy("give a file in a folder where you may write, on a file system with hard links and room")
}

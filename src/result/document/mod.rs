//! Result files: runs out of the documents that maxq wrote, or one line about why there are none.
//!
//! The owner of reading documents. What comes out is plain numbers that can be relied on: finite, not negative, and absent
//! where there was no answer. It must not know what they will be used for. Files are written by anybody: every name and
//! text is escaped before it leaves this module.

mod histogram;
mod run;
mod seek;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::exit::Refusal;
use crate::files;
pub use run::Run;

/// No result file is nearly as large.
const MOST_BYTES: u64 = 256 << 20;
/// Values in a document, by the marks between them: a day of intervals has a million. Each takes a hundred bytes of memory,
/// and as few as two in a file.
const MOST_VALUES: usize = 4_000_000;
/// Runs in one document, or files in one folder, that anybody compares.
const MOST_RUNS: usize = 10_000;
/// What can be read, for those who gave something else.
const READABLE: &str =
    "name a document of maxq --json, maxq --repeat N --json, or a folder of such files";

/// All runs in the files that `paths` name: a file, or a folder whose `.json` files are read in the order of their names.
///
/// # Errors
/// Exit code 2, with the name of the file and what is wrong with it; so has a run that is there twice.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Run>, Refusal> {
    let mut runs = Vec::new();
    for path in paths {
        for file in files(path)? {
            let name = shown(&file);
            let found = read_file(&file).and_then(|document| runs_in(document, &name));
            runs.extend(found.map_err(|why| refusal(&file, &why))?);
            if runs.len() > MOST_RUNS {
                return Err(refusal(
                    path,
                    &format!("more than {MOST_RUNS} runs; name fewer files"),
                ));
            }
        }
    }
    if let Some((one, other)) = twice(&runs) {
        return Err(Refusal::usage(format!(
            "{}: it is the same run as {}, and one run counts once; leave one of them out",
            other.source, one.source
        )));
    }
    Ok(runs)
}

/// Two of `runs` that are the same one: copies of a file, or a file that was named twice.
fn twice(runs: &[Run]) -> Option<(&Run, &Run)> {
    let mut by_start: HashMap<&str, Vec<&Run>> = HashMap::new();
    runs.iter().find_map(|run| {
        let others = by_start.entry(started_at(run)).or_default();
        let same = others.iter().find(|other| other.document == run.document).copied();
        others.push(run);
        same.map(|other| (other, run))
    })
}

/// How many of the `new` runs are also among those of the base: the same measurement, under whatever name.
#[must_use]
pub fn also_in(base: &[Run], new: &[Run]) -> usize {
    let mut by_start: HashMap<&str, Vec<&Run>> = HashMap::new();
    base.iter().for_each(|run| by_start.entry(started_at(run)).or_default().push(run));
    let is_known = |run: &&Run| {
        by_start
            .get(started_at(run))
            .is_some_and(|others| others.iter().any(|other| other.document == run.document))
    };
    new.iter().filter(is_known).count()
}

fn started_at(run: &Run) -> &str {
    run.document["started_at"].as_str().unwrap_or_default()
}

/// The runs of one document; `name` says where it came from.
///
/// # Errors
/// What is wrong with it.
pub fn runs_in(document: Value, name: &str) -> Result<Vec<Run>, String> {
    let schema = document.get("schema").and_then(Value::as_str).map(str::to_owned);
    match schema.as_deref() {
        Some("maxq.run/1") => Ok(vec![Run::of(document, name.to_owned())?]),
        Some("maxq.runs/1") => {
            let Some(Value::Array(runs)) = document.get("runs").cloned() else {
                return Err("it has no list of runs".to_owned());
            };
            if runs.is_empty() {
                return Err("it holds no run at all".to_owned());
            }
            let all = runs.len();
            if all > MOST_RUNS {
                return Err(format!("it holds {all} runs; at most {MOST_RUNS} can be compared"));
            }
            let one = |(index, run): (usize, Value)| {
                let place = format!("run {} of {all}", index + 1);
                if run.get("schema").and_then(Value::as_str) != Some("maxq.run/1") {
                    return Err(format!("{place} is no maxq.run/1"));
                }
                Run::of(run, format!("{name}, {place}")).map_err(|why| format!("{place}: {why}"))
            };
            runs.into_iter().enumerate().map(one).collect()
        }
        Some("maxq.ceiling/1" | "maxq.sweep/1" | "maxq.compare/1" | "maxq.calibration/1") => {
            Err(format!(
                "it is a {}, which is no set of equal runs; {READABLE}",
                schema.unwrap_or_default()
            ))
        }
        Some(other) if other.starts_with("maxq.") => Err(format!(
            "schema '{}' is not one that this version of maxq reads (maxq.run/1, maxq.runs/1)",
            escape(other)
        )),
        _ => Err(format!("it is JSON, but no result of maxq; {READABLE}")),
    }
}

/// The file that a path names, or the files in the folder.
fn files(path: &Path) -> Result<Vec<PathBuf>, Refusal> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|error| refusal(path, &error.to_string()))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| refusal(path, &error.to_string()))?.path();
        if file.extension().is_some_and(|extension| extension == "json") && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(refusal(path, &format!("no .json file in this folder; {READABLE}")));
    }
    Ok(files)
}

fn read_file(path: &Path) -> Result<Value, String> {
    let cannot = |error: std::io::Error| format!("{error}; name a readable file");
    let too_large = || format!("larger than {} MiB; {READABLE}", MOST_BYTES >> 20);
    // What is known to be too large is not read first.
    if fs::metadata(path).is_ok_and(|known| known.len() > MOST_BYTES) {
        return Err(too_large());
    }
    let bytes = files::read(path, MOST_BYTES).map_err(cannot)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(too_large());
    }
    let marks = bytes.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    if marks > MOST_VALUES {
        return Err(format!("it holds more than {MOST_VALUES} values; {READABLE}"));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let line = error.line();
        if bytes.is_empty() {
            format!("it is empty; {READABLE}")
        } else if error.is_eof() {
            format!("it ends in the middle, in line {line}: was it cut short? measure again")
        } else {
            format!("it is not JSON that can be read ({error}); {READABLE}")
        }
    })
}

fn refusal(path: &Path, why: &str) -> Refusal {
    Refusal::usage(format!("{}: {why}", shown(path)))
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy())
}

/// Printable ASCII: what a terminal would obey or mangle is spelled out.
#[must_use]
pub fn escape(text: &str) -> String {
    text.as_bytes().escape_ascii().to_string()
}

#[cfg(test)]
mod tests;

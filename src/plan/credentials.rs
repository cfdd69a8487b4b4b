//! Who asks: the user and the password of the URL or of `--user`, and the passphrase of `--key`.

use std::env;
use std::path::Path;

use crate::files;
use crate::target::{Credentials, Secret, Target};

/// Where the passphrase of `--key` may be, beside `--key-passphrase`.
pub(super) const PASSPHRASE_VARIABLE: &str = "MAXQ_KEY_PASSPHRASE";

/// A file of one secret holds no more.
const MOST_SECRET_BYTES: u64 = 64 * 1024;

/// The user and the password that a server is told.
///
/// # Errors
/// Two of them, or one that cannot be sent; no message shows them.
pub(super) fn credentials(
    user: Option<&Secret>,
    target: &Target,
) -> Result<Option<Credentials>, String> {
    let Some(user) = user else { return Ok(target.credentials.clone()) };
    if target.credentials.is_some() {
        return Err("--user contradicts the user in the URL; leave one of them out".to_owned());
    }
    let pair = match user.reveal().strip_prefix(b"@") {
        Some(path) => first_line("--user", path)?,
        None => user.clone(),
    };
    let credentials = Credentials::of_pair(pair.reveal());
    credentials.map(Some).map_err(|why| {
        format!("--user: {why}; use --user USER:PASSWORD, or --user @FILE with that")
    })
}

/// The passphrase of `--key`: of `--key-passphrase @FILE`, or of the environment.
///
/// # Errors
/// A file that cannot be read, or a passphrase on the command line, where every user of the machine can see it.
pub(super) fn passphrase(flag: Option<&Secret>) -> Result<Option<Secret>, String> {
    let Some(flag) = flag else {
        let set = env::var_os(PASSPHRASE_VARIABLE);
        let set = set.filter(|text| !text.is_empty());
        return Ok(set.map(|text| Secret::new(text.into_encoded_bytes())));
    };
    match flag.reveal().strip_prefix(b"@") {
        Some(path) => first_line("--key-passphrase", path).map(Some),
        None => Err(format!(
            "--key-passphrase: a passphrase on the command line is visible to all users of this machine; write it into a file and use --key-passphrase @FILE, or set {PASSPHRASE_VARIABLE}"
        )),
    }
}

/// The first line of a file, without its end.
fn first_line(flag: &str, path: &[u8]) -> Result<Secret, String> {
    let path = String::from_utf8_lossy(path);
    let bytes = files::read(Path::new(&*path), MOST_SECRET_BYTES)
        .map_err(|error| format!("{flag} @{path}: {error}; name a readable file after @"))?;
    if bytes.len() as u64 > MOST_SECRET_BYTES {
        return Err(format!(
            "{flag} @{path}: the file has more than {MOST_SECRET_BYTES} bytes; name one that holds the secret alone"
        ));
    }
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Ok(Secret::new(line.strip_suffix(b"\r").unwrap_or(line)))
}

#[cfg(test)]
mod tests {
    use super::{credentials, passphrase};
    use crate::target::{Credentials, Secret, Target};
    use std::fs;

    fn of_flag(flag: &str, url: &str) -> Result<Option<Vec<u8>>, String> {
        let found = credentials(Some(&Secret::new(flag)), &Target::parse(url).unwrap());
        found.map(|found| found.as_ref().map(Credentials::reveal).map(<[u8]>::to_vec))
    }

    #[test]
    fn the_first_line_of_a_file_is_a_user_and_a_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("user");
        let flag = format!("@{}", file.display());
        for text in ["alice:hunter2", "alice:hunter2\n", "alice:hunter2\r\nmore\n"] {
            fs::write(&file, text).unwrap();
            assert_eq!(of_flag(&flag, "http://x/"), Ok(Some(b"alice:hunter2".to_vec())));
            assert_eq!(
                passphrase(Some(&Secret::new(flag.as_str()))).unwrap().unwrap().reveal(),
                b"alice:hunter2"
            );
        }
    }

    #[test]
    fn what_the_flag_says_is_not_decoded() {
        assert_eq!(of_flag("a:%41:b", "http://x/"), Ok(Some(b"a:%41:b".to_vec())));
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_showing_it() {
        for (flag, url, part) in [
            ("hunter2", "http://x/", "no ':'"),
            ("a:hunter2\n", "http://x/", "control characters"),
            ("a:hunter2", "http://b:hunter3@x/", "contradicts the user in the URL"),
            ("@/nonexistent/file", "http://x/", "--user @/nonexistent/file"),
        ] {
            let error = of_flag(flag, url).unwrap_err();
            assert!(error.starts_with("--user") && error.contains(part), "{error}");
            assert!(!error.contains("hunter"), "{error}");
        }
        let error = passphrase(Some(&Secret::new("hunter2"))).unwrap_err();
        assert!(error.contains("@FILE") && !error.contains("hunter2"), "{error}");
    }
}

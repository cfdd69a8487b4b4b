//! Keys of clients that have a passphrase, made by OpenSSL as people make them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::certificates::Papers;
use crate::support::report::Report;
use crate::support::secure::{Host, SecureNginx};
use crate::support::{Ended, installed, maxq_on_engine, run};

const PASSPHRASE: &str = "correct horse, battery";
const NOWHERE: &str = "https://127.0.0.1:9/";

fn openssl(arguments: &[&str]) {
    let ended = run(Command::new(installed("openssl", "openssl")).args(arguments));
    assert_eq!(ended.code, Some(0), "openssl {arguments:?}: {ended:?}");
}

/// A certificate, its key, and forms of that key that OpenSSL encrypts.
struct Keys {
    papers: Papers,
    cert: String,
    plain: String,
}

impl Keys {
    fn new() -> Self {
        let papers = Papers::new();
        let certified = papers.authority.issue(&["client.example"]);
        let (cert, plain) = papers.write_identity("client", &certified);
        Self { papers, cert, plain }
    }

    fn path(&self, name: &str) -> String {
        Path::new(&self.plain).with_file_name(name).display().to_string()
    }

    /// The key in another form, by a command of OpenSSL.
    fn written_by(&self, command: &[&str]) -> String {
        let out = self.path("encrypted.key");
        let password = format!("pass:{PASSPHRASE}");
        let files = ["-in", &self.plain, "-passout", &password, "-out", &out];
        openssl(&[command, &files].concat());
        out
    }

    /// `--key-passphrase` with a file that holds `text`.
    fn passphrase(&self, text: &str) -> String {
        format!("@{}", self.papers.write("passphrase", text))
    }

    /// A run against `url` with a key, and more flags.
    fn run(&self, url: &str, key: &str, more: &[&str], variable: Option<&str>) -> Ended {
        let mut command = maxq_on_engine();
        command.env_remove("MAXQ_KEY_PASSPHRASE");
        command.envs(variable.map(|value| ("MAXQ_KEY_PASSPHRASE", value)));
        let always = ["-t", "1", "-c", "1", "-n", "5", "--json", "--cacert", &self.papers.cacert];
        run(command.args(always).args(["--cert", &self.cert, "--key", key]).args(more).arg(url))
    }

    /// With a key that can be read, all that is missing is a server.
    fn accepted(&self, key: &str, more: &[&str], variable: Option<&str>) {
        let ended = self.run(NOWHERE, key, &[more, &["--give-up", "300ms"]].concat(), variable);
        assert_eq!(ended.code, Some(5), "{ended:?}");
    }

    fn refused(&self, key: &str, more: &[&str], variable: Option<&str>, parts: &[&str]) {
        let ended = self.run(NOWHERE, key, more, variable);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        for part in parts {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
        assert!(!ended.stderr.contains("battery"), "{}", ended.stderr);
    }
}

#[test]
fn a_server_knows_a_client_whose_key_openssl_has_encrypted() {
    let keys = Keys::new();
    let known = format!("ssl_client_certificate {}; ssl_verify_client on;", keys.papers.cacert);
    let nginx = SecureNginx::start(&[Host::showing(&keys.papers.certified).with(&known)], &[]);
    let url = nginx.url("/small");
    for method in [
        &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256"][..],
        &["-v2", "aes-256-cbc", "-iter", "10000"],
        &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"],
        &["-v2", "des3", "-v2prf", "hmacWithSHA1"],
        &["-scrypt"],
    ] {
        let key = keys.written_by(&[&["pkcs8", "-topk8"][..], method].concat());
        assert!(fs::read_to_string(&key).unwrap().contains("BEGIN ENCRYPTED PRIVATE KEY"));
        let file = keys.passphrase(&format!("{PASSPHRASE}\n"));
        for ended in [
            keys.run(&url, &key, &["--key-passphrase", &file], None),
            keys.run(&url, &key, &[], Some(PASSPHRASE)),
            // The flag ranks above the environment.
            keys.run(&url, &key, &["--key-passphrase", &file], Some("wrong")),
        ] {
            assert_eq!(ended.code, Some(0), "{method:?}: {ended:?}");
            let report = Report::of(&ended.stdout);
            report.assert_all_ok();
            assert!(!ended.stdout.contains("battery"), "{method:?}");
        }
    }
    assert_eq!(nginx.handled().iter().filter(|request| request.status == 200).count(), 75);
}

#[test]
fn a_passphrase_that_is_missing_or_wrong_is_refused_with_the_remedy() {
    let keys = Keys::new();
    let key = keys.written_by(&["pkcs8", "-topk8"]);
    let wrong = keys.passphrase("wrong");
    keys.refused(
        &key,
        &[],
        None,
        &[&key, "encrypted", "--key-passphrase @FILE", "MAXQ_KEY_PASSPHRASE"],
    );
    keys.refused(&key, &[], Some(""), &["encrypted", "--key-passphrase @FILE"]);
    keys.refused(&key, &["--key-passphrase", &wrong], Some(PASSPHRASE), &[&key, "wrong"]);
    let missing = ["--key-passphrase", "@/nonexistent/file"];
    keys.refused(&key, &missing, None, &["--key-passphrase @/nonexistent/file", "readable file"]);
    let shown = ["--key-passphrase", PASSPHRASE];
    keys.refused(&key, &shown, None, &["visible", "@FILE", "MAXQ_KEY_PASSPHRASE"]);
    keys.refused(
        &keys.plain,
        &["--key-passphrase", &wrong],
        None,
        &["not encrypted", "leave the passphrase out"],
    );
    // A variable that is set for other keys is no contradiction.
    keys.accepted(&keys.plain, &[], Some("x"));
}

#[test]
fn a_key_in_an_old_form_is_refused_with_a_command_that_converts_it() {
    let keys = Keys::new();
    let file = keys.passphrase(PASSPHRASE);
    for (command, says) in [
        (&["ec", "-aes256"][..], "legacy format"),
        (&["pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES"], "does not support its encryption"),
    ] {
        let key = keys.written_by(command);
        let new = keys.path("new-key.pem");
        let conversion = format!("openssl pkcs8 -topk8 -v2 aes-256-cbc -in {key} -out new-key.pem");
        keys.refused(&key, &["--key-passphrase", &file], None, &[&key, says, &conversion]);
        // What it asks for on a terminal is given here.
        let password = format!("pass:{PASSPHRASE}");
        let convert = ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", &key, "-out", &new];
        openssl(&[&convert[..], &["-passin", &password, "-passout", &password]].concat());
        keys.accepted(&new, &["--key-passphrase", &file], None);
    }
}

#[test]
fn an_encrypted_key_that_is_damaged_is_refused() {
    let keys = Keys::new();
    let text = fs::read_to_string(keys.written_by(&["pkcs8", "-topk8"])).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let cut = [&lines[..2], &lines[lines.len() - 1..]].concat().join("\n");
    for damaged in [cut, text.replace("-----END", "-----FIN"), text.replace('A', "!")] {
        let key = keys.papers.write("damaged.key", &damaged);
        let file = keys.passphrase(PASSPHRASE);
        keys.refused(&key, &["--key-passphrase", &file], None, &[&key]);
    }
}

//! Authorities and certificates of the tests' own: made in memory, written down where a program wants a file.

use std::fs;
use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    RsaKeySize, date_time_ymd,
};
use tempfile::TempDir;

/// Certificates are valid from the first of January of one year to that of another.
type Years = (i32, i32);

/// These tests will be run for a while.
const THIS_AGE: Years = (2020, 2120);

/// It takes long to find one, so all share it.
static RSA_KEY: LazyLock<KeyPair> = LazyLock::new(|| {
    let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048);
    key.expect("a key can be had")
});

/// Who signs certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// What a server must send along so that clients find the way from its certificate to an authority they know.
    between: String,
}

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub(crate) struct Certified {
    /// The certificate, then those between it and an authority.
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    /// One that nobody has signed.
    pub(crate) fn new(name: &str) -> Self {
        let issuer = CertifiedIssuer::self_signed(issuer_called(name), key_pair());
        Self { issuer: issuer.expect("a key can sign"), between: String::new() }
    }

    /// One that this one has signed.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let issuer = CertifiedIssuer::signed_by(issuer_called(name), key_pair(), &self.issuer);
        let issuer = issuer.expect("a key can sign");
        let between = format!("{}{}", issuer.pem(), self.between);
        Self { issuer, between }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for hosts of these names or addresses, with a key on the curve P-256.
    pub(crate) fn issue(&self, names: &[&str]) -> Certified {
        self.sign(names, THIS_AGE, &key_pair())
    }

    /// One that is not always valid.
    pub(crate) fn issue_for_years(&self, names: &[&str], years: Years) -> Certified {
        self.sign(names, years, &key_pair())
    }

    /// One with an RSA key, whose signatures are all of the same length.
    pub(crate) fn issue_rsa(&self, names: &[&str]) -> Certified {
        self.sign(names, THIS_AGE, &RSA_KEY)
    }

    fn sign(&self, names: &[&str], years: Years, key: &KeyPair) -> Certified {
        let mut wanted = host(names, years);
        wanted.use_authority_key_identifier_extension = true;
        let certificate = wanted.signed_by(key, &self.issuer).expect("a key can sign");
        Certified {
            chain: format!("{}{}", certificate.pem(), self.between),
            key: key.serialize_pem(),
        }
    }
}

impl Certified {
    /// A certificate that signed itself; `is_issuer` as `openssl req -x509` makes it if nobody objects: one for issuers.
    pub(crate) fn by_itself(names: &[&str], is_issuer: bool) -> Self {
        Self::by_itself_for_years(names, is_issuer, THIS_AGE)
    }

    /// The same, not always valid.
    pub(crate) fn by_itself_for_years(names: &[&str], is_issuer: bool, years: Years) -> Self {
        let mut wanted = host(names, years);
        if is_issuer {
            wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = key_pair();
        let certificate = wanted.self_signed(&key).expect("a key can sign");
        Self { chain: certificate.pem(), key: key.serialize_pem() }
    }

    /// The same without those between it and an authority.
    pub(crate) fn alone(&self) -> Self {
        const END: &str = "-----END CERTIFICATE-----\n";
        let (first, _) = self.chain.split_once(END).expect("there is a certificate");
        Self { chain: format!("{first}{END}"), key: self.key.clone() }
    }
}

fn host(names: &[&str], (from, to): Years) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let common = names.first().map_or("no name but this", String::as_str).to_owned();
    let mut wanted = CertificateParams::new(names).expect("names are valid");
    wanted.distinguished_name.push(DnType::CommonName, common);
    wanted.not_before = date_time_ymd(from, 1, 1);
    wanted.not_after = date_time_ymd(to, 1, 1);
    wanted
}

fn issuer_called(name: &str) -> CertificateParams {
    let mut wanted = CertificateParams::default();
    wanted.distinguished_name.push(DnType::CommonName, name);
    wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    wanted.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    wanted
}

fn key_pair() -> KeyPair {
    KeyPair::generate().expect("a key can be had")
}

/// What most tests begin with: an authority, what it issued for this host, and a folder for files.
pub(crate) struct Papers {
    pub(crate) authority: Authority,
    pub(crate) certified: Certified,
    /// The file with the authority's certificate.
    pub(crate) cacert: String,
    folder: TempDir,
}

impl Papers {
    pub(crate) fn new() -> Self {
        let authority = Authority::new("authority of the test");
        let certified = authority.issue(&["127.0.0.1", "localhost"]);
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut papers = Self { authority, certified, cacert: String::new(), folder };
        papers.cacert = papers.write("authority.pem", &papers.authority.pem());
        papers
    }

    /// Writes a file, and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file can be written");
        path.display().to_string()
    }

    /// Writes the files for `--cert` and `--key`.
    pub(crate) fn write_identity(&self, name: &str, certified: &Certified) -> (String, String) {
        let cert = self.write(&format!("{name}.pem"), &certified.chain);
        (cert, self.write(&format!("{name}.key"), &certified.key))
    }
}

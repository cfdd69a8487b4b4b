//! What makes two runs runs of the same plan: hashes of what shapes the load, and of what is sent and expected.
//!
//! Where the target is does not count: a preview server has another port every time, and documents name the URL anyway. Nor
//! do the values of headers that change from run to run, like a fresh login token; that they are there does.

use super::Plan;

/// Headers whose values never count.
const ALWAYS_VOLATILE: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];
/// What stands in the place of a value that does not count.
const ANY: &[u8] = b"*";

/// Hashes of the parts of a plan, each 16 hexadecimal digits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hashes {
    /// How much is sent when: connections, rate, duration, timeouts.
    pub load: String,
    /// What is sent and expected, and over what kind of connection.
    pub request: String,
}

impl Hashes {
    /// A hash of the whole plan, equal for runs that may be compared.
    #[must_use]
    pub fn whole(&self) -> String {
        shown(fnv1a(self.load.bytes().chain(self.request.bytes())))
    }
}

impl Plan {
    /// Hashes of the parts of the plan. Target, output, seed, and cores do not count.
    ///
    /// What is hashed is the text of these types, which may not change: a field that is renamed or added would make runs of
    /// today runs of another plan than those in older files. A test holds the hashes to theirs.
    #[must_use]
    pub fn hashes(&self) -> Hashes {
        let load = format!("{:?} {:?}", self.load, self.timeouts);
        let request = format!(
            "{:?} {:?} {} {}\n",
            (&self.route.options, self.route.proxy_protocol, self.tunnel.is_some()),
            self.expect,
            self.body_check,
            self.tls()
        );
        // Older files know nothing of it, and are files of plans without it.
        let closing = if self.route.reset_on_close { "reset on close\n" } else { "" };
        let request = request.bytes().chain(closing.bytes()).chain(self.lasting_request());
        Hashes { load: shown(fnv1a(load.bytes())), request: shown(fnv1a(request)) }
    }

    /// How TLS is set up; a name that is only that of the target does not count.
    fn tls(&self) -> String {
        let canonical = self.security.as_ref().map_or("", |security| &security.canonical);
        match canonical.strip_prefix(&self.target.host).filter(|rest| rest.starts_with(' ')) {
            Some(rest) => format!("*{rest}"),
            None => canonical.to_owned(),
        }
    }

    /// The request without what may change from run to run.
    fn lasting_request(&self) -> Vec<u8> {
        let mut lasting = Vec::new();
        let mut is_head = true;
        for (index, line) in self.request.one().split_inclusive(|&byte| byte == b'\n').enumerate() {
            is_head &= !line.trim_ascii().is_empty();
            if index == 0 {
                lasting.extend(self.without_authority(line));
                continue;
            }
            match field(line).filter(|_| is_head) {
                Some((name, value)) if self.is_volatile(name, value) => {
                    lasting.extend_from_slice(&name.to_ascii_lowercase());
                    lasting.extend_from_slice(b": ");
                    lasting.extend_from_slice(ANY);
                    lasting.extend_from_slice(b"\r\n");
                }
                _ => lasting.extend_from_slice(line),
            }
        }
        lasting
    }

    /// The first line of a request to a proxy, which names the target.
    fn without_authority(&self, line: &[u8]) -> Vec<u8> {
        let whole = format!("http://{}", self.target.authority);
        let at = line.windows(whole.len()).position(|part| part == whole.as_bytes());
        match at.filter(|_| self.is_proxied) {
            Some(at) => [&line[..at], ANY, &line[at + whole.len()..]].concat(),
            None => line.to_vec(),
        }
    }

    /// Whether the value of a header does not count: by its name, or because it says nothing but the target or the version of
    /// maxq.
    fn is_volatile(&self, name: &[u8], value: &[u8]) -> bool {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        ALWAYS_VOLATILE.iter().any(|known| is(known))
            || self.volatile_headers.iter().any(|known| is(known))
            || (is("host") && value == self.target.authority.as_bytes())
            || (is("user-agent") && value == concat!("maxq/", env!("CARGO_PKG_VERSION")).as_bytes())
    }
}

/// Name and value of a header line.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    Some((&line[..colon], line[colon + 1..].trim_ascii()))
}

/// The names of `--volatile-header`, in lower case and in order; each must be a header of `request`.
///
/// # Errors
/// The name that is none, or that the request does not have.
pub(super) fn volatile_headers(names: &[String], request: &[u8]) -> Result<Vec<String>, String> {
    let head = request.split(|&byte| byte == b'\n').skip(1);
    let head = head.take_while(|line| !line.trim_ascii().is_empty());
    let sent: Vec<&[u8]> = head.filter_map(|line| Some(field(line)?.0)).collect();
    let mut all = Vec::new();
    for name in names {
        if !sent.iter().any(|sent| sent.eq_ignore_ascii_case(name.as_bytes())) {
            return Err(format!(
                "--volatile-header {}: the request has no header of that name; name one that -H or --raw sends",
                name.escape_debug()
            ));
        }
        all.push(name.to_ascii_lowercase());
    }
    all.sort();
    all.dedup();
    Ok(all)
}

fn shown(hash: u64) -> String {
    format!("{hash:016x}")
}

/// FNV-1a, 64 bits: small, and the same on every machine and version.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::volatile_headers;
    use crate::cli::RunArgs;
    use crate::plan::Plan;

    /// The plan of these flags against `url`.
    fn plan(url: &str, flags: &[&str]) -> Plan {
        // Nobody is asked: a plan that is only shown needs nobody to be there.
        let flags = [&["--dry-run", "--seed", "1"], flags].concat();
        Plan::build(url, &RunArgs::from_flags(&flags).unwrap()).unwrap()
    }

    const HERE: &str = "http://127.0.0.1:9/a";

    #[test]
    fn a_fresh_token_and_another_place_leave_the_plan_what_it_is() {
        let base = plan(HERE, &["-H", "Authorization: Bearer 1", "-H", "X-Run: 1"]);
        let volatile = ["--volatile-header", "x-run"];
        let base_volatile = plan(
            HERE,
            &[&["-H", "Authorization: Bearer 1", "-H", "X-Run: 1"][..], &volatile].concat(),
        );
        let fresh = ["-H", "authorization: Bearer 22", "-H", "X-Run: 1"];
        assert_eq!(plan(HERE, &fresh).hashes(), base.hashes());
        assert_eq!(plan(HERE, &fresh).hashes().whole(), base.hashes().whole());
        assert_eq!(plan("http://127.0.0.2:10/a", &fresh).hashes(), base.hashes());
        // Any other header counts, unless it is said not to.
        let other = ["-H", "Authorization: Bearer 1", "-H", "X-Run: 2"];
        assert_ne!(plan(HERE, &other).hashes(), base.hashes());
        assert_ne!(plan(HERE, &other).hashes().whole(), base.hashes().whole());
        let other_volatile = plan(HERE, &[&other[..], &volatile].concat());
        assert_eq!(other_volatile.hashes(), base_volatile.hashes());
        // A run that closes with resets is another run.
        let resets = [&fresh[..], &["--reset-on-close"]].concat();
        assert_ne!(plan(HERE, &resets).hashes(), base.hashes());
        // That a token is there counts, and so does a host that the user chose.
        assert_ne!(plan(HERE, &["-H", "X-Run: 1"]).hashes(), base.hashes());
        assert_ne!(plan(HERE, &[&fresh[..], &["-H", "Host: x"]].concat()).hashes(), base.hashes());
    }

    #[test]
    fn load_and_request_have_hashes_of_their_own() {
        let base = plan(HERE, &[]).hashes();
        for flags in [&["-c", "3"][..], &["-d", "3s"], &["-R", "10"], &["--timeout", "1s"]] {
            let other = plan(HERE, flags).hashes();
            assert_ne!(other.load, base.load, "{flags:?}");
            assert_eq!(other.request, base.request, "{flags:?}");
        }
        for flags in [&["-b", "x"][..], &["--expect", "status=404"], &["--quickack"]] {
            let other = plan(HERE, flags).hashes();
            assert_eq!(other.load, base.load, "{flags:?}");
            assert_ne!(other.request, base.request, "{flags:?}");
        }
        assert_ne!(plan("http://127.0.0.1:9/b", &[]).hashes().request, base.request);
        let of_tls = |url| plan(url, &["-k"]).hashes();
        assert_ne!(of_tls("https://127.0.0.1:9/a").request, base.request);
        assert_eq!(of_tls("https://127.0.0.1:9/a"), of_tls("https://127.0.0.3:8/a"));
        let proxied = |url| plan(url, &["--proxy", "http://127.0.0.1:1"]).hashes();
        assert_eq!(proxied(HERE), proxied("http://127.0.0.9:11/a"));
    }

    #[test]
    fn hashes_are_those_that_older_files_hold() {
        for (flags, load, request) in [
            (&[][..], "1dbbf83937933582", "4021cbdf1735c2be"),
            (
                &["-c", "3", "-p", "2", "-n", "9", "--timeout", "1s"],
                "3ef4bbc493f2ae7b",
                "4021cbdf1735c2be",
            ),
            (
                &["-R", "10", "--burst", "5@1s", "--arrivals", "poisson", "-d", "3s"],
                "53441262d1df6c3d",
                "4021cbdf1735c2be",
            ),
            (
                &["--stages", "1s@10,2s@0..50", "--on-overload", "shed"],
                "a3bafbf7a19f1003",
                "4021cbdf1735c2be",
            ),
            (
                &["--expect", "status=2xx,404", "--expect", "body~=x", "--quickack"],
                "1dbbf83937933582",
                "69d3877a0bbbf7bb",
            ),
            (
                &["--proxy-protocol", "v2", "--send-buffer", "64k", "--body-check"],
                "1dbbf83937933582",
                "905ffc589797485a",
            ),
        ] {
            let hashes = plan(HERE, flags).hashes();
            assert_eq!((&hashes.load[..], &hashes.request[..]), (load, request), "{flags:?}");
        }
    }

    #[test]
    fn a_volatile_header_that_is_not_sent_is_refused_by_name() {
        let request = b"POST / HTTP/1.1\r\nHost: x\r\nX-Run: 1\r\n\r\nX-Body: 1\r\n";
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            volatile_headers(&names, request)
        };
        assert_eq!(names(&["X-RUN", "host", "x-run"]).unwrap(), ["host", "x-run"]);
        for name in ["X-Body", "X", "POST / HTTP/1.1"] {
            let error = names(&[name]).unwrap_err();
            assert!(error.starts_with(&format!("--volatile-header {name}: ")), "{error}");
        }
    }
}

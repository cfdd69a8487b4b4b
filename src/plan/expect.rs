//! `--expect`: which whole responses are good.

use crate::core::worker::Expect;

/// Reads the values of all `--expect` flags: `status=200,3xx`, `size=N`, `body~=TEXT`.
///
/// # Errors
/// The clause that makes no sense, and what would.
pub(super) fn parse<'a>(clauses: impl IntoIterator<Item = &'a str>) -> Result<Expect, String> {
    let mut expect = Expect::default();
    let mut seen = Vec::new();
    for clause in clauses {
        let known = [("body", "body~="), ("size", "size="), ("status", "status=")]
            .into_iter()
            .find_map(|(name, prefix)| Some((name, clause.strip_prefix(prefix)?)));
        let Some((name, value)) = known.filter(|(_, value)| !value.is_empty()) else {
            return Err(format!(
                "--expect '{clause}': use status=2xx,304 or size=BYTES or body~=TEXT, one a flag"
            ));
        };
        if seen.contains(&name) {
            return Err(format!("--expect '{clause}': '{name}' is given twice; give it once"));
        }
        seen.push(name);
        match name {
            "status" => expect.status = parse_status(clause, value)?,
            "size" => {
                expect.size = Some(value.parse().map_err(|_| {
                    format!("--expect '{clause}': '{value}' is not a number of bytes")
                })?);
            }
            _ => expect.body_contains = Some(value.as_bytes().to_vec()),
        }
    }
    Ok(expect)
}

fn parse_status(clause: &str, list: &str) -> Result<Vec<(u16, u16)>, String> {
    list.split(',')
        .map(|item| {
            let class = item.strip_suffix("xx").and_then(|digit| digit.parse::<u16>().ok());
            match (class, item.parse::<u16>()) {
                (Some(class @ 1..=9), _) => Ok((class * 100, class * 100 + 99)),
                (None, Ok(code @ 100..=999)) => Ok((code, code)),
                _ => Err(format!("--expect '{clause}': '{item}' is no status; use 200 or 2xx, separated by commas")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_wants_a_body_contradicts_head() {
        let never = |clause| parse([clause]).unwrap().never_of_head();
        assert_eq!(never("size=13"), Some("size="));
        assert_eq!(never("body~=x"), Some("body~="));
        assert_eq!((never("size=0"), never("status=204")), (None, None));
    }

    #[test]
    fn without_flags_success_and_redirects_are_good() {
        let expect = parse([]).unwrap();
        let good: Vec<u16> = [199, 200, 302, 399, 400, 503]
            .into_iter()
            .filter(|&s| expect.accepts_status(s))
            .collect();
        assert_eq!(good, [200, 302, 399]);
    }

    #[test]
    fn each_clause_is_read() {
        let expect = parse(["status=404,2xx", "size=12", "body~=a=b"]).unwrap();
        assert!(
            expect.accepts_status(404) && expect.accepts_status(204) && !expect.accepts_status(301)
        );
        assert_eq!(expect.size, Some(12));
        assert_eq!(expect.body_contains.as_deref(), Some(&b"a=b"[..]));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for clause in [
            "",
            "status",
            "status=",
            "status=2x",
            "status=99",
            "status=200,",
            "size=x",
            "body=x",
            "sise=1",
            "size~=1",
        ] {
            let error = parse([clause]).unwrap_err();
            assert!(error.contains("--expect"), "{clause}: {error}");
        }
        assert!(parse(["size=1", "size=2"]).is_err());
    }
}

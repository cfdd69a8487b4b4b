//! The addresses that `--source` names: single ones, ranges, blocks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// More addresses than a machine has ports are of no use to any run.
const MOST_SOURCES: u128 = 65_536;

/// Reads a list like `10.0.0.1,10.0.0.8-10.0.0.20,10.1.0.0/28`.
///
/// # Errors
/// The part that cannot be read, and what would be right.
pub(super) fn parse(list: &str) -> Result<Vec<IpAddr>, String> {
    let mut sources = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (first, last) = span(part)?;
        let count = (number(last) - number(first)).saturating_add(1);
        if count.saturating_add(sources.len() as u128) > MOST_SOURCES {
            return Err(format!(
                "--source: '{part}' holds more addresses than can be used; name at most {MOST_SOURCES}"
            ));
        }
        sources.extend((0..count).map(|step| address(number(first) + step, first)));
    }
    Ok(sources)
}

/// The first and the last address of a part.
fn span(part: &str) -> Result<(IpAddr, IpAddr), String> {
    let refuse = || {
        format!(
            "--source: '{}' is no address, range or block; use 10.0.0.1, 10.0.0.1-10.0.0.9 or 10.0.0.0/28",
            part.escape_debug()
        )
    };
    let read = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| refuse());
    if let Some((address, bits)) = part.split_once('/') {
        let bits: u32 = bits.parse().map_err(|_| refuse())?;
        return block(read(address)?, bits).ok_or_else(refuse);
    }
    let Some((first, last)) = part.split_once('-') else {
        let only = read(part)?;
        return Ok((only, only));
    };
    let (first, last) = (read(first)?, read(last)?);
    let ordered = first.is_ipv4() == last.is_ipv4() && first <= last;
    if ordered { Ok((first, last)) } else { Err(refuse()) }
}

/// The addresses of a block that a host can have: in IPv4, not those of the network itself and of everybody in it.
fn block(within: IpAddr, bits: u32) -> Option<(IpAddr, IpAddr)> {
    let width = if within.is_ipv4() { 32 } else { 128 };
    let host_bits = 128 - (width - bits.min(width));
    if bits > width {
        return None;
    }
    let mask = if host_bits == 128 { 0 } else { u128::MAX >> host_bits };
    let (first, last) = (number(within) & !mask, number(within) | mask);
    let ends = u128::from(within.is_ipv4() && bits < 31);
    Some((address(first + ends, within), address(last - ends, within)))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address with this number, of the same version as `like`.
fn address(number: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(number).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn shown(list: &str) -> Vec<String> {
        parse(list).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_ranges_and_blocks_are_taken_apart() {
        assert_eq!(shown("10.0.0.1"), ["10.0.0.1"]);
        assert_eq!(shown("10.0.0.254-10.0.1.1").len(), 4);
        assert_eq!(shown("10.0.0.5/30, ::1"), ["10.0.0.5", "10.0.0.6", "::1"]);
        assert_eq!(shown("10.0.0.4/31"), ["10.0.0.4", "10.0.0.5"]);
        assert_eq!(shown("10.0.0.4/32"), ["10.0.0.4"]);
        assert_eq!(shown("10.0.0.0/16").len(), 65_534);
        assert_eq!(shown("fd00::/126").len(), 4);
        assert_eq!(shown("fd00::1/128"), ["fd00::1"]);
    }

    #[test]
    fn what_is_no_source_is_refused() {
        for list in [
            "",
            "10.0.0",
            "10.0.0.1/33",
            "10.0.0.9-10.0.0.1",
            "10.0.0.1-::1",
            "::/129",
            "a/b",
            "10.0.0.0/8",
            "::/0",
            "::/64",
            "10.0.0.1,,10.0.0.2",
        ] {
            assert!(parse(list).unwrap_err().contains("--source"), "{list}");
        }
    }
}

//! Latencies by bucket in as few bytes as they need: a run keeps hundreds of such tables for as long as it lasts.
//!
//! Each bucket is its distance from the one before and its count, both as numbers of 7 bits a byte, low bits first. Three
//! or four bytes a bucket instead of sixteen.

/// Buckets, each its largest value in nanoseconds and how many are in it; ascending, none of them empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PackedBuckets(Box<[u8]>);

impl PackedBuckets {
    /// The buckets of two tables together; counts of the same bucket add up.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let (mut ones, mut others) = (self.iter().peekable(), other.iter().peekable());
        let merged = std::iter::from_fn(|| match (ones.peek(), others.peek()) {
            (Some(one), Some(other)) if one.0 == other.0 => {
                let count = one.1 + other.1;
                others.next();
                ones.next().map(|(highest_ns, _)| (highest_ns, count))
            }
            (Some(one), Some(other)) if one.0 > other.0 => others.next(),
            (Some(_), _) => ones.next(),
            (None, _) => others.next(),
        });
        merged.collect()
    }

    /// What was put in.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut rest = &self.0[..];
        let mut highest_ns = 0;
        std::iter::from_fn(move || {
            highest_ns += take_number(&mut rest)?;
            Some((highest_ns, take_number(&mut rest)?))
        })
    }
}

/// Buckets must come in ascending order, each once.
impl FromIterator<(u64, u64)> for PackedBuckets {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(buckets: I) -> Self {
        let mut bytes = Vec::new();
        let mut before_ns = 0;
        for (highest_ns, count) in buckets {
            debug_assert!(highest_ns > before_ns || bytes.is_empty(), "buckets ascend");
            put_number(&mut bytes, highest_ns - before_ns);
            put_number(&mut bytes, count);
            before_ns = highest_ns;
        }
        Self(bytes.into_boxed_slice())
    }
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7f) as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::PackedBuckets;

    fn tables() -> impl Strategy<Value = BTreeMap<u64, u64>> {
        let values = prop_oneof![0..500_u64, any::<u64>()];
        let counts = prop_oneof![1..500_u64, 1..u64::MAX / 2];
        proptest::collection::btree_map(values, counts, 0..60)
    }

    proptest! {
        #[test]
        fn what_is_put_in_comes_out(table in tables()) {
            let packed: PackedBuckets = table.clone().into_iter().collect();
            prop_assert_eq!(packed.iter().collect::<BTreeMap<_, _>>(), table);
        }

        #[test]
        fn two_tables_add_up(one in tables(), other in tables()) {
            let pack = |table: &BTreeMap<u64, u64>| -> PackedBuckets {
                table.iter().map(|(&value, &count)| (value, count)).collect()
            };
            let mut sum = one.clone();
            for (&value, &count) in &other {
                *sum.entry(value).or_default() += count;
            }
            prop_assert_eq!(pack(&one).and(&pack(&other)), pack(&sum));
        }
    }

    #[test]
    fn a_bucket_takes_a_few_bytes() {
        let buckets = (0..1000_u64).map(|index| (1_000_000 + index * 16_384, 1 + index % 100));
        let packed: PackedBuckets = buckets.collect();
        assert!(packed.0.len() < 4100, "{} bytes", packed.0.len());
    }
}

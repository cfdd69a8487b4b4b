//! The formats that other tools read, and the live line.

use super::*;
use crate::core::record::LatencyHistogram;
use crate::report::{hgrm, progress_line, timeseries_line};

#[test]
fn a_percentile_file_has_the_layout_of_hdrhistogram() {
    let mut histogram = LatencyHistogram::new();
    for value_ns in [1_000_000, 2_000_000, 2_000_000, 50_000_000] {
        histogram.record(value_ns);
    }
    let text = hgrm(&histogram);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "       Value     Percentile TotalCount 1/(1-Percentile)",
            "",
            "    1.000447 0.000000000000          1           1.00",
        ]
    );
    let last = lines.len() - 4;
    assert_eq!(
        lines[last..],
        [
            "   50.000000 1.000000000000          4",
            "#[Mean    =    13.750000, StdDeviation   =    20.927416]",
            "#[Max     =    50.000000, Total count    =            4]",
            "#[Buckets =           32, SubBuckets     =         2048]",
        ]
    );
}

#[test]
fn rows_of_a_percentile_file_rise_to_the_count() {
    let text = hgrm(&normal().latencies.response.all);
    let rows: Vec<Vec<f64>> = text
        .lines()
        .skip(2)
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().map(|field| field.parse().unwrap()).collect())
        .collect();
    assert!(rows.len() > 50);
    let rising =
        rows.windows(2).all(|pair| (0..3).all(|column| pair[0][column] <= pair[1][column]));
    assert!(rising, "{text}");
    let (last, others) = rows.split_last().unwrap();
    assert_eq!(last[1..], [1.0, 20_000.0]);
    assert!(others.iter().all(|row| row.len() == 4));
}

#[test]
fn an_empty_percentile_file_has_no_rows() {
    let text = hgrm(&LatencyHistogram::new());
    let marks: Vec<bool> = text.lines().map(|line| line.starts_with("#[")).collect();
    assert_eq!(marks, [false, false, true, true, true]);
    assert!(text.contains("#[Mean    =     0.000000, StdDeviation   =     0.000000]"));
}

#[test]
fn an_interval_is_one_line_with_the_keys_of_the_document() {
    let mut row = interval(3.0);
    row.p99_ns = None;
    assert_eq!(
        timeseries_line(&row),
        "{\"t_s\":3.0,\"scheduled\":2000,\"sent\":2000,\"completed\":1990,\"ok\":1980,\"errors\":10,\
         \"in_flight\":64,\"backlog\":0,\"bytes_received\":300000,\"p50_us\":312.319,\"p95_us\":900.0,\"p99_us\":null,\
         \"max_us\":2000.001}\n"
    );
}

#[test]
fn the_live_line_says_the_most_that_fits() {
    let row = interval(3.0);
    assert_eq!(
        progress_line(&row, 3.0, Some(10.0), 120),
        "3/10 s  1,990 req/s  10 errors  p50 312.3 us  p99 1.236 ms  max 2.000 ms  64 in flight  292.97 KiB/s"
    );
    assert_eq!(progress_line(&row, 3.0, None, 30), "3 s  1,990 req/s  10 errors");
    assert!(progress_line(&interval(0.0), 0.0, Some(10.0), 80).starts_with("warm-up  1,990 req/s"));
    for columns in 0..120 {
        let line = progress_line(&row, 3.0, Some(10.0), columns);
        assert!(line.len() <= usize::from(columns) && !line.contains('\n'));
    }
}

#[test]
fn the_live_line_of_an_idle_second_is_short() {
    let idle = IntervalRow {
        completed: 0,
        errors: 0,
        bytes_received: 0,
        p50_ns: None,
        p95_ns: None,
        p99_ns: None,
        max_ns: None,
        ..interval(4.0)
    };
    assert_eq!(progress_line(&idle, 4.0, Some(10.0), 80), "4/10 s  0 req/s  64 in flight  0 B/s");
}

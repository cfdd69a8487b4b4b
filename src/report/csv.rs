//! Tables with commas: the same cells as with tabs, in quotes where RFC 4180 wants them.

/// A table of lines and tabs as CSV. Cells hold neither tabs nor line ends.
#[must_use]
pub fn csv_of_tsv(table: &str) -> String {
    let line = |line: &str| line.split('\t').map(cell).collect::<Vec<_>>().join(",") + "\n";
    table.lines().map(line).collect()
}

fn cell(text: &str) -> String {
    if text.contains([',', '"', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::csv_of_tsv;

    #[test]
    fn cells_with_commas_and_quotes_are_quoted_and_empty_ones_stay() {
        assert_eq!(
            csv_of_tsv("url\tp50_us\tverdict\nhttp://h/a,b\"c\t\tvalid\n"),
            "url,p50_us,verdict\n\"http://h/a,b\"\"c\",,valid\n"
        );
        assert_eq!(csv_of_tsv(""), "");
    }
}

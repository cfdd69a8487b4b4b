//! What came back, in the text report: status codes, and what the first bad answer of each said.

use crate::core::record::BadAnswer;
use crate::report::format::{self, count, counted};
use crate::report::page::Page;
use crate::result::summary::Summary;

/// Lines of what a bad answer said that leave room for the rest of the report.
const FEW_LINES: usize = 3;

/// One line of status codes, and what bad answers said.
pub(super) fn answers(page: &mut Page, summary: &Summary, verbose: bool) {
    let seen = summary.measured.status.iter().enumerate().filter(|&(_, &number)| number > 0);
    let mut codes: Vec<String> =
        seen.map(|(code, &number)| format!("{code}: {}", count(number))).collect();
    let interim = summary.record.interim_responses;
    if interim > 0 {
        codes.push(format!("1xx: {}, which end no request", count(interim)));
    }
    if !codes.is_empty() {
        page.fact("Status", &codes.join("; "));
    }
    let said = summary.record.bad_answers.all().iter().filter(|answer| !answer.body.is_empty());
    for answer in said {
        body(page, answer, verbose);
    }
}

/// What one said, and how much more of it there was.
fn body(page: &mut Page, answer: &BadAnswer, verbose: bool) {
    let room = if verbose { usize::MAX } else { FEW_LINES * page.width() };
    let shown = format::escape_within(&answer.body, room);
    page.block(&format!("  first {}", answer.status), &shown);
    let is_shortened = shown.len() < format::escape(&answer.body).len();
    let all = counted(answer.body_bytes, "byte");
    if is_shortened {
        page.more(&format!("({all}; -v shows more of it)"));
    } else if answer.is_cut() {
        page.more(&format!("(cut: the first {} of {all})", count(answer.kept_bytes)));
    }
}

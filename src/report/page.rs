//! Plain text in two columns: labels on the left, wrapped text or tables beside them.
//!
//! The layout of the text report, without any of its content. Colour is the least it can be and stands around whole
//! words only, so that the text without it is the same.

/// How the text report may look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Style {
    /// ANSI bold and colours; only where a terminal reads them.
    pub color: bool,
    /// Width to which sentences are wrapped; kept between 40 and 120.
    pub columns: u16,
}

impl Default for Style {
    /// No colour, 80 columns: what a file or a pipe gets.
    fn default() -> Self {
        Self { color: false, columns: 80 }
    }
}

/// What a piece of text says by its looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Paint {
    /// A label or the head of a table.
    Bold,
    /// All is well.
    Good,
    /// Look twice.
    Doubtful,
    /// Something is wrong.
    Bad,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Bold => "\x1b[1m",
            Self::Good => "\x1b[1;32m",
            Self::Doubtful => "\x1b[1;33m",
            Self::Bad => "\x1b[1;31m",
        }
    }
}

/// Where text begins beside its label.
pub(crate) const INDENT: usize = 14;

/// A text report as far as it has been written.
pub(crate) struct Page {
    text: String,
    style: Style,
}

impl Page {
    pub(crate) fn new(style: Style) -> Self {
        Self { text: String::new(), style }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Characters that fit beside a label.
    pub(crate) fn width(&self) -> usize {
        usize::from(self.style.columns.clamp(40, 120)) - INDENT
    }

    /// An empty line, unless there is one already.
    pub(crate) fn gap(&mut self) {
        if !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// One line as it is.
    pub(crate) fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// The first line of a table.
    pub(crate) fn head(&mut self, text: &str) {
        let text = self.paint(Paint::Bold, text);
        self.line(&text);
    }

    /// A label and what is to be said about it, wrapped beside it.
    pub(crate) fn fact(&mut self, label: &str, text: &str) {
        self.painted_fact((Paint::Bold, label), (Paint::Bold, ""), text);
    }

    /// A fact whose label and first words have paint of their own.
    pub(crate) fn painted_fact(&mut self, label: (Paint, &str), first: (Paint, &str), text: &str) {
        let (paint, label) = label;
        let gap = " ".repeat(INDENT.saturating_sub(label.len()).max(1));
        let label = self.paint(paint, label);
        let (paint, first) = first;
        let mut lines = wrap(&format!("{first}{text}"), self.width()).into_iter();
        let mut top = lines.next().unwrap_or_default();
        if let Some(rest) = top.strip_prefix(first)
            && !first.is_empty()
        {
            top = format!("{}{rest}", self.paint(paint, first));
        }
        self.line(&format!("{label}{gap}{top}"));
        lines.for_each(|line| self.beside(&line));
    }

    /// A label and text beside it that has no words, such as what a server said: broken wherever a line is full. It holds
    /// printable ASCII.
    pub(crate) fn block(&mut self, label: &str, text: &str) {
        let gap = " ".repeat(INDENT.saturating_sub(label.len()).max(1));
        let label = self.paint(Paint::Bold, label);
        let lines = text.as_bytes().chunks(self.width()).map(String::from_utf8_lossy);
        for (index, line) in lines.enumerate() {
            match index {
                0 => self.line(&format!("{label}{gap}{line}")),
                _ => self.beside(&line),
            }
        }
    }

    /// More text below a fact, wrapped.
    pub(crate) fn more(&mut self, text: &str) {
        wrap(text, self.width()).iter().for_each(|line| self.beside(line));
    }

    /// A remark below a table, wrapped.
    pub(crate) fn note(&mut self, text: &str) {
        const MARGIN: usize = 2;
        for line in wrap(text, self.width() + INDENT - MARGIN) {
            self.line(&format!("{:MARGIN$}{line}", ""));
        }
    }

    fn beside(&mut self, line: &str) {
        self.line(&format!("{:INDENT$}{line}", ""));
    }

    fn paint(&self, paint: Paint, text: &str) -> String {
        if self.style.color { format!("{}{text}\x1b[0m", paint.code()) } else { text.to_owned() }
    }
}

/// A space at which no line is broken.
const HARD_SPACE: char = '\u{a0}';

/// `text` as one word that is never broken.
pub(crate) fn unbroken(text: &str) -> String {
    text.replace(' ', &HARD_SPACE.to_string())
}

/// Breaks `text` at spaces into lines of at most `width` characters; a longer word stays whole, so that it can be copied.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_ascii_whitespace() {
        let word = word.replace(HARD_SPACE, " ");
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{Page, Paint, Style, unbroken, wrap};

    #[test]
    fn text_is_broken_at_spaces_and_words_stay_whole() {
        assert_eq!(wrap("aa bb  cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrap("a longword b", 4), ["a", "longword", "b"]);
        assert!(wrap(" ", 4).is_empty());
        let text = format!("aa {} dd", unbroken("bb cc"));
        assert_eq!(wrap(&text, 7), ["aa", "bb cc", "dd"]);
    }

    #[test]
    fn paint_stands_around_words_and_changes_nothing_else() {
        let write = |color| {
            let mut page = Page::new(Style { color, columns: 40 });
            let text = ": a sentence that does not fit into one line";
            page.painted_fact((Paint::Bold, "Verdict"), (Paint::Good, "valid"), text);
            page.finish()
        };
        let plain = write(false);
        assert_eq!(
            plain,
            "Verdict       valid: a sentence that\n              does not fit into one line\n"
        );
        let mut bare = write(true);
        assert!(bare.starts_with("\x1b[1mVerdict\x1b[0m       \x1b[1;32mvalid\x1b[0m: a"));
        for code in ["\x1b[1m", "\x1b[1;32m", "\x1b[0m"] {
            bare = bare.replace(code, "");
        }
        assert_eq!(bare, plain);
    }
}

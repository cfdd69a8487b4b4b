//! A slow reader of responses, written from RFC 9112 alone: it sees the whole stream at once, keeps everything, and
//! shares no line with the reader that it is there to check.
//!
//! Where the standard leaves a choice, it follows what maxq documents: bare LF ends a line of a head but not of a chunk,
//! empty lines may precede a head, a message with both framings is read as chunked and ends its connection, at most 64
//! interim responses, at most 1 MiB for the heads of a response together. Folded lines, white space before a colon, odd
//! names, and lines without a colon are passed over unless they could be taken for Content-Length, Transfer-Encoding, or
//! Connection; NUL and a bare CR are refused everywhere.

const MOST_HEAD_BYTES: usize = 1024 * 1024;
const MOST_EXTRA_BYTES: usize = 64 * 1024;
const MOST_INTERIM: usize = 64;

/// A response that came whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Whole {
    pub(crate) status: u16,
    pub(crate) body_bytes: u64,
    pub(crate) keep_alive: bool,
}

/// How the stream ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// Between two responses.
    Between,
    /// Inside a response.
    Cut,
    /// Inside a head: what is there may be refused already, or not yet.
    CutInHead,
    /// The last response of the list ended with it.
    Closed,
    /// With something that is no response.
    Bad,
}

/// Where reading stopped before its time.
enum Stop {
    Cut,
    CutInHead,
    Bad,
}

struct Head {
    status: u16,
    minor: u8,
    fields: Vec<(String, String)>,
    length: usize,
}

enum Framing {
    Nothing,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Everything that `stream` holds, as an answer to `HEAD` or to anything else.
pub(crate) fn read(stream: &[u8], to_head_request: bool) -> (Vec<Whole>, Ending) {
    let mut responses = Vec::new();
    let mut at = 0;
    loop {
        if at == stream.len() {
            return (responses, Ending::Between);
        }
        match one(&stream[at..], to_head_request) {
            Ok((whole, Some(length))) => {
                responses.push(whole);
                at += length;
            }
            Ok((whole, None)) => {
                responses.push(whole);
                return (responses, Ending::Closed);
            }
            Err(Stop::Cut) => return (responses, Ending::Cut),
            Err(Stop::CutInHead) => return (responses, Ending::CutInHead),
            Err(Stop::Bad) => return (responses, Ending::Bad),
        }
    }
}

/// One final response and its length, which is `None` when it lasts until the end.
fn one(stream: &[u8], to_head_request: bool) -> Result<(Whole, Option<usize>), Stop> {
    let mut at = 0;
    let mut interim = 0;
    loop {
        // The heads of a response share their limit, and they follow each other without a gap.
        let head = head(&stream[at..], MOST_HEAD_BYTES - at)?;
        at += head.length;
        // What says nothing sensible about framing is refused in interim responses, too.
        let (framing, keep_alive) = framing(&head, to_head_request)?;
        if head.status >= 200 {
            let (body_bytes, end) = body(&framing, stream, at)?;
            let keep_alive = keep_alive && end.is_some();
            return Ok((Whole { status: head.status, body_bytes, keep_alive }, end));
        }
        interim += 1;
        if head.status == 101 || interim > MOST_INTERIM {
            return Err(Stop::Bad);
        }
    }
}

/// The next line without its end, and how long it is with it.
fn line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let text = &bytes[..end];
    Some((text.strip_suffix(b"\r").unwrap_or(text), end + 1))
}

fn head(bytes: &[u8], most: usize) -> Result<Head, Stop> {
    let cut = || if !bytes.is_empty() && bytes.len() >= most { Stop::Bad } else { Stop::CutInHead };
    let mut at = 0;
    let mut lines = Vec::new();
    // Empty lines may precede it.
    loop {
        let Some((text, length)) = line(&bytes[at..]) else { return Err(cut()) };
        at += length;
        if !text.is_empty() {
            lines.push(text);
            break;
        }
    }
    loop {
        let Some((text, length)) = line(&bytes[at..]) else { return Err(cut()) };
        at += length;
        if text.is_empty() {
            break;
        }
        lines.push(text);
    }
    if at > most {
        return Err(Stop::Bad);
    }
    let (minor, status) = status_line(lines[0])?;
    let fields = fields(&lines[1..])?;
    Ok(Head { status, minor, fields, length: at })
}

fn status_line(line: &[u8]) -> Result<(u8, u16), Stop> {
    let rest = line.strip_prefix(b"HTTP/1.").ok_or(Stop::Bad)?;
    let [minor @ b'0'..=b'9', b' ', a, b, c, rest @ ..] = rest else { return Err(Stop::Bad) };
    let digits = [a, b, c];
    if !digits.iter().all(|digit| digit.is_ascii_digit()) {
        return Err(Stop::Bad);
    }
    let status = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(**digit - b'0'));
    let reason_is_fine = match rest {
        [] => true,
        [b' ', reason @ ..] => reason.iter().all(|&byte| is_text(byte)),
        _ => false,
    };
    if status < 100 || !reason_is_fine {
        return Err(Stop::Bad);
    }
    Ok((minor - b'0', status))
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// The three that decide about framing, and their letters.
const FRAMING: [(&str, &str); 3] = [
    ("content-length", "contentlength"),
    ("transfer-encoding", "transferencoding"),
    ("connection", "connection"),
];

fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The letters of a text and nothing else of it.
fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase()
}

/// The fields that decide about framing, and only those.
fn fields(lines: &[&[u8]]) -> Result<Vec<(String, String)>, Stop> {
    let mut fields = Vec::new();
    let mut after_framing = false;
    for line in lines {
        if line.contains(&0) || line.contains(&b'\r') {
            return Err(Stop::Bad);
        }
        let text = latin(line);
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (text.as_str(), None),
        };
        let spelled = letters(name);
        if text.starts_with([' ', '\t']) {
            let alike = value.is_some() && FRAMING.iter().any(|(_, letters)| *letters == spelled);
            if after_framing || alike {
                return Err(Stop::Bad);
            }
            continue;
        }
        after_framing = false;
        let Some(value) = value else {
            if FRAMING.iter().any(|(_, letters)| spelled.starts_with(letters)) {
                return Err(Stop::Bad);
            }
            continue;
        };
        let name_lower = name.to_ascii_lowercase();
        if FRAMING.iter().any(|(known, _)| *known == name_lower) {
            if !value.bytes().all(|byte| byte > 127 || is_text(byte)) {
                return Err(Stop::Bad);
            }
            after_framing = true;
            fields.push((name_lower, value.trim_matches([' ', '\t']).to_owned()));
        } else {
            let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            let odd = name.is_empty() || !name.chars().all(is_token);
            if odd && FRAMING.iter().any(|(_, letters)| *letters == spelled) {
                return Err(Stop::Bad);
            }
        }
    }
    Ok(fields)
}

fn framing(head: &Head, to_head_request: bool) -> Result<(Framing, bool), Stop> {
    let all = |wanted: &str| -> Vec<String> {
        let mine = head.fields.iter().filter(|(name, _)| name == wanted);
        let items = mine.flat_map(|(_, value)| value.split(','));
        items.map(|item| item.trim_matches([' ', '\t']).to_owned()).collect()
    };
    let has = |wanted: &str| head.fields.iter().any(|(name, _)| name == wanted);
    let mut length = None;
    for text in all("content-length") {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u64>().ok().filter(|_| fits).ok_or(Stop::Bad)?;
        if length.is_some_and(|known| known != number) {
            return Err(Stop::Bad);
        }
        length = Some(number);
    }
    let mut codings = all("transfer-encoding");
    codings.retain(|coding| !coding.is_empty());
    let is_chunked = |coding: &String| coding.eq_ignore_ascii_case("chunked");
    // Nothing may follow the chunked coding, and a line that names none says nothing.
    let before_last = codings.len().saturating_sub(1);
    let first_line = head.fields.iter().find(|(name, _)| name == "transfer-encoding");
    let empty_first = first_line.is_some_and(|(_, value)| {
        value.split(',').all(|item| item.trim_matches([' ', '\t']).is_empty())
    });
    if codings[..before_last].iter().any(is_chunked) || empty_first {
        return Err(Stop::Bad);
    }
    let options = all("connection");
    let option = |wanted: &str| options.iter().any(|option| option.eq_ignore_ascii_case(wanted));
    let coded = has("transfer-encoding");
    let suspect = coded && (length.is_some() || head.minor == 0);
    let persistent = !option("close") && (head.minor > 0 || option("keep-alive"));
    let framing = if to_head_request || [204, 304].contains(&head.status) {
        Framing::Nothing
    } else if coded {
        if codings.last().is_some_and(is_chunked) { Framing::Chunked } else { Framing::UntilClose }
    } else {
        match length {
            None => Framing::UntilClose,
            Some(0) => Framing::Nothing,
            Some(length) => Framing::Length(length),
        }
    };
    Ok((framing, persistent && !suspect))
}

/// Bytes of the body, and where the response ends: `None` at the end of the stream.
fn body(framing: &Framing, stream: &[u8], at: usize) -> Result<(u64, Option<usize>), Stop> {
    let left = stream.len() - at;
    match framing {
        Framing::Nothing => Ok((0, Some(at))),
        Framing::UntilClose => Ok((left as u64, None)),
        Framing::Length(length) => match usize::try_from(*length) {
            Ok(length) if length <= left => Ok((length as u64, Some(at + length))),
            _ => Err(Stop::Cut),
        },
        Framing::Chunked => chunks(stream, at).map(|(bytes, end)| (bytes, Some(end))),
    }
}

/// A reader that runs out.
struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    extra: usize,
}

impl Input<'_> {
    fn next(&mut self) -> Result<u8, Stop> {
        let byte = self.bytes.get(self.at).copied().ok_or(Stop::Cut)?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Stop> {
        if self.next()? == wanted { Ok(()) } else { Err(Stop::Bad) }
    }

    /// Counts a byte of extensions and trailers.
    fn spend(&mut self) -> Result<(), Stop> {
        self.extra += 1;
        if self.extra > MOST_EXTRA_BYTES { Err(Stop::Bad) } else { Ok(()) }
    }
}

fn chunks(stream: &[u8], at: usize) -> Result<(u64, usize), Stop> {
    let mut input = Input { bytes: stream, at, extra: 0 };
    let mut total = 0;
    loop {
        let size = chunk_size(&mut input)?;
        if size == 0 {
            break;
        }
        let left = (stream.len() - input.at) as u64;
        if size > left {
            return Err(Stop::Cut);
        }
        total += size;
        input.at += usize::try_from(size).expect("it is no longer than what is there");
        input.expect(b'\r')?;
        input.expect(b'\n')?;
    }
    loop {
        let mut empty = true;
        loop {
            match input.next()? {
                b'\r' => break,
                b'\n' | 0 => return Err(Stop::Bad),
                _ => {
                    input.spend()?;
                    empty = false;
                }
            }
        }
        input.expect(b'\n')?;
        if empty {
            return Ok((total, input.at));
        }
    }
}

fn chunk_size(input: &mut Input<'_>) -> Result<u64, Stop> {
    let mut digits = String::new();
    let mut byte = input.next()?;
    while byte.is_ascii_hexdigit() {
        digits.push(char::from(byte));
        if digits.len() > 16 {
            return Err(Stop::Bad);
        }
        byte = input.next()?;
    }
    if digits.is_empty() {
        return Err(Stop::Bad);
    }
    while byte == b' ' || byte == b'\t' {
        input.spend()?;
        byte = input.next()?;
    }
    if byte == b';' {
        input.spend()?;
        byte = input.next()?;
        while byte != b'\r' {
            if byte == b'\n' || byte == 0 {
                return Err(Stop::Bad);
            }
            input.spend()?;
            byte = input.next()?;
        }
    }
    if byte != b'\r' {
        return Err(Stop::Bad);
    }
    input.expect(b'\n')?;
    u64::from_str_radix(&digits, 16).map_err(|_| Stop::Bad)
}

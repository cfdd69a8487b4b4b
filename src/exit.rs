//! Exit codes, and refusals that carry one.

use crate::target;

/// What a command ends with: one of the codes of this module, or that of a signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// Whether a signal ended the command.
    #[must_use]
    pub fn is_of_signal(self) -> bool {
        Signal::ALL.iter().any(|signal| signal.exit_code() == self)
    }
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> Self {
        code.0
    }
}

/// The run finished.
pub const FINISHED: ExitCode = ExitCode(0);
/// A gate failed, or `--abort-on` or `--on-overload abort` ended the run.
pub const GATE: ExitCode = ExitCode(1);
/// Wrong usage, configuration or plan.
pub const USAGE: ExitCode = ExitCode(2);
/// Slower than what it was compared with.
pub const REGRESSION: ExitCode = ExitCode(3);
/// A search or a comparison that found no answer.
pub const INCONCLUSIVE: ExitCode = ExitCode(4);
/// No address, refused, or no successful response at all.
pub const TARGET: ExitCode = ExitCode(5);
/// The measurement is not valid, and `--strict` was given, or it was to be compared.
pub const INVALID: ExitCode = ExitCode(6);
/// The environment refuses what was asked.
pub const ENVIRONMENT: ExitCode = ExitCode(7);
/// Results could not be written.
pub const OUTPUT: ExitCode = ExitCode(8);

/// Of several codes that apply, the one that a command ends with: a signal's, then 7, 2, 5, 8, 6, 1, then the others.
#[must_use]
pub fn first_of(codes: impl IntoIterator<Item = ExitCode>) -> ExitCode {
    const ORDER: [ExitCode; 6] = [ENVIRONMENT, USAGE, TARGET, OUTPUT, INVALID, GATE];
    let place = |code: &ExitCode| match *code {
        FINISHED => usize::MAX,
        code if code.is_of_signal() => 0,
        code => ORDER.iter().position(|known| *known == code).map_or(ORDER.len(), |at| at + 1),
    };
    codes.into_iter().min_by_key(place).unwrap_or(FINISHED)
}

/// A signal by which the user ends a command. The first one asks for a partial report, the second one for it at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// SIGHUP: the terminal was closed.
    Hangup,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGQUIT: Ctrl-\.
    Quit,
    /// SIGTERM: what `kill`, `timeout` and service managers send.
    Terminate,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hangup, Self::Interrupt, Self::Quit, Self::Terminate];

    /// The number that the kernel knows it by.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Quit => 3,
            Self::Terminate => 15,
        }
    }

    /// The signal with this number, if it ends a command.
    #[must_use]
    pub fn of(number: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| usize::from(signal.number()) == number)
    }

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// The exit code of a command that it ended: the one that a shell shows for a process that it killed.
    #[must_use]
    pub const fn exit_code(self) -> ExitCode {
        ExitCode(128 + self.number())
    }
}

/// Why nothing more will be done: one line for people, one code for scripts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Names the flag and the remedy.
    pub message: String,
    /// One of the codes of this module.
    pub code: ExitCode,
}

impl Refusal {
    /// Messages repeat what was typed, and are kept in logs: no password of a URL may be in them.
    fn masked(message: &str, code: ExitCode) -> Self {
        Self { message: target::mask_urls(message), code }
    }

    /// The user asked for what cannot be.
    #[must_use]
    pub fn usage(message: String) -> Self {
        Self::masked(&message, USAGE)
    }

    /// The target cannot be used.
    #[must_use]
    pub fn target(message: String) -> Self {
        Self::masked(&message, TARGET)
    }

    /// The machine does not allow it.
    #[must_use]
    pub fn environment(message: String) -> Self {
        Self::masked(&message, ENVIRONMENT)
    }

    /// A signal came before there was anything to report of: `before` what.
    #[must_use]
    pub fn stopped(signal: Signal, before: &str) -> Self {
        let message = format!("stopped by {} before {before}", signal.name());
        Self { message, code: signal.exit_code() }
    }

    /// A result could not be written.
    #[must_use]
    pub fn output(message: String) -> Self {
        Self::masked(&message, OUTPUT)
    }
}

#[cfg(test)]
mod tests {
    use super::{ExitCode, Refusal, Signal, first_of};

    #[test]
    fn of_several_codes_the_first_of_the_order_is_the_one() {
        for (codes, expected) in [
            (&[0, 0][..], 0),
            (&[0, 1, 0], 1),
            (&[6, 1, 0], 6),
            (&[1, 6, 8], 8),
            (&[8, 5, 6], 5),
            (&[5, 2, 8], 2),
            (&[2, 7], 7),
            (&[7, 0, 130], 130),
            (&[0, 4], 4),
            (&[8, 3], 8),
            (&[], 0),
        ] {
            assert_eq!(
                u8::from(first_of(codes.iter().copied().map(ExitCode))),
                expected,
                "{codes:?}"
            );
        }
    }

    #[test]
    fn a_refusal_shows_no_password_of_a_url() {
        for refusal in [Refusal::usage, Refusal::target, Refusal::environment, Refusal::output] {
            let refusal = refusal("URL 'http://alice:hunter2@x/' and so on".to_owned());
            assert_eq!(refusal.message, "URL 'http://***@x/' and so on");
        }
    }

    #[test]
    fn each_signal_has_the_number_of_the_kernel_and_the_exit_code_of_the_shell() {
        for (signal, number, name, code) in [
            (Signal::Hangup, libc::SIGHUP, "SIGHUP", 129),
            (Signal::Interrupt, libc::SIGINT, "SIGINT", 130),
            (Signal::Quit, libc::SIGQUIT, "SIGQUIT", 131),
            (Signal::Terminate, libc::SIGTERM, "SIGTERM", 143),
        ] {
            assert_eq!(i32::from(signal.number()), number);
            assert_eq!((signal.name(), signal.exit_code()), (name, ExitCode(code)));
            assert_eq!(Signal::of(usize::try_from(number).unwrap()), Some(signal));
        }
        assert_eq!((Signal::of(0), Signal::of(9)), (None, None));
    }
}

//! The architecture as tables: who stands where, who may name whom, and what is not yet as it should be.

/// A top-level module of `src` with all files below it, and which others it may name.
type Place = (&'static str, &'static [&'static str]);

/// Folders of places: what lies in them is a place each, they themselves are only its list.
pub(crate) const FOLDERS: &[&str] = &["core", "machine", "result"];

/// Places within a place that know less than it does.
pub(crate) const INNER: &[&str] =
    &["commands/ceiling/capacity", "commands/ceiling/search", "commands/compare/comparison"];

/// The floors of the house from top to bottom, the places on each, again from top to bottom, and what each place may
/// name: only what stands below it in this table, so that there is no circle; what does not is one of
/// [`KNOWN_EXCEPTIONS`].
pub(crate) const FLOORS: &[(&str, &[Place])] = &[
    ("main", &[("main", &["cli", "commands", "exit", "output"]), ("lib", &["output"])]),
    (
        "commands",
        &[
            (
                "commands",
                &[
                    "calibration",
                    "commands/ceiling/capacity",
                    "commands/ceiling/search",
                    "cli",
                    "commands/compare/comparison",
                    "document",
                    "exit",
                    "host",
                    "output",
                    "plan",
                    "pressure",
                    "report",
                    "run",
                    "schedule",
                    "serve",
                    "slo",
                    "stats",
                    "summary",
                    "sys",
                    "target",
                    "time",
                    "units",
                    "verdict",
                ],
            ),
            (
                "commands/ceiling/capacity",
                &[
                    "commands/ceiling/search",
                    "exit",
                    "plan",
                    "pressure",
                    "slo",
                    "stats",
                    "summary",
                    "time",
                    "verdict",
                ],
            ),
            ("commands/ceiling/search", &["stats"]),
            ("commands/compare/comparison", &["stats", "exit", "document", "slo", "units"]),
        ],
    ),
    (
        "report",
        &[(
            "report",
            &[
                "stats",
                "base64",
                "calibration",
                "exit",
                "failure",
                "http1",
                "plan",
                "pressure",
                "record",
                "request",
                "slo",
                "summary",
                "target",
                "time",
                "units",
                "verdict",
                "worker",
            ],
        )],
    ),
    (
        "run",
        &[(
            "run",
            &[
                "stats", "engine", "exit", "failure", "host", "http1", "memory", "output", "plan",
                "pressure", "record", "schedule", "slo", "summary", "sys", "time", "tls", "tunnel",
                "units", "judgment", "worker",
            ],
        )],
    ),
    (
        "engine",
        &[("engine", &["conn", "failure", "plan", "record", "request", "sys", "time", "worker"])],
    ),
    (
        "plan",
        &[(
            "plan",
            &[
                "stats",
                "base64",
                "calibration",
                "cgroup",
                "cli",
                "exit",
                "failure",
                "files",
                "host",
                "http1",
                "request",
                "schedule",
                "slo",
                "sys",
                "target",
                "time",
                "tls",
                "worker",
            ],
        )],
    ),
    ("cli", &[("cli", &["schedule", "target", "units"])]),
    (
        "result",
        &[
            ("document", &["base64", "exit", "files"]),
            (
                "judgment",
                &[
                    "stats",
                    "calibration",
                    "failure",
                    "pressure",
                    "record",
                    "schedule",
                    "slo",
                    "summary",
                    "time",
                    "units",
                    "verdict",
                ],
            ),
            ("calibration", &["summary"]),
            (
                "summary",
                &["stats", "exit", "http1", "pressure", "record", "slo", "time", "verdict"],
            ),
            ("verdict", &[]),
        ],
    ),
    ("serve", &[("serve", &["sys", "time"])]),
    (
        "core",
        &[
            (
                "worker",
                &[
                    "conn", "failure", "http1", "record", "request", "schedule", "time", "tls",
                    "tunnel",
                ],
            ),
            ("conn", &["http1", "schedule", "time"]),
            ("tls", &["failure", "record"]),
            ("record", &["failure", "schedule", "time"]),
            ("tunnel", &["http1"]),
            ("http1", &["failure"]),
            ("schedule", &["time", "units"]),
            ("failure", &[]),
        ],
    ),
    ("request", &[("request", &[]), ("target", &[])]),
    ("slo", &[("slo", &["stats", "time", "units"])]),
    ("stats", &[("stats", &["units"])]),
    (
        "machine",
        &[
            ("output", &["exit", "files", "sys"]),
            ("files", &["sys"]),
            ("exit", &[]),
            ("host", &["cgroup"]),
            ("memory", &["sys"]),
            ("pressure", &["cgroup", "time"]),
            ("cgroup", &[]),
            ("sys", &[]),
        ],
    ),
    ("time, units", &[("units", &["time"]), ("time", &[]), ("base64", &[])]),
];

/// Arrows that point up, why they do, and thereby every circle. One that is gone must leave this table.
pub(crate) const KNOWN_EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("plan", "run", "catches the signals that end its wait for a body from standard input"),
    ("memory", "plan", "works out the need of a whole plan instead of being given numbers"),
    ("memory", "conn", "knows how large a connection is"),
    ("host", "plan", "counts the cores with the code of the plan"),
    ("host", "summary", "fills in the description of the machine that the summary owns"),
    ("exit", "target", "hides the passwords of URLs in messages"),
    ("output", "target", "hides the passwords of URLs in messages"),
    ("files", "output", "says on standard error what it waits for"),
    ("time", "sys", "the clock is a system call"),
];

/// What the tests inside a place may name beside what the place itself may: what they build a case from, and what they
/// look at it through.
pub(crate) const TESTS_MAY_NAME: &[Place] = &[
    ("commands/ceiling/capacity", &["record", "report", "stats"]),
    ("engine", &["output", "schedule"]),
    ("failure", &["cli"]),
    ("report", &["document", "schedule"]),
    ("document", &["record"]),
    ("run", &["cli"]),
    ("slo", &["record", "summary"]),
    ("judgment", &["exit"]),
    ("worker", &["engine"]),
];

/// The data path: sans-io, pure over the time that it is given.
pub(crate) const DATA_PATH: &[&str] = &[
    "conn", "failure", "http1", "record", "request", "schedule", "target", "tls", "tunnel",
    "units", "worker",
];

/// Modules that are public although nothing outside of the library names them. May only become shorter.
pub(crate) const NEEDLESSLY_PUBLIC: &[&str] =
    &["base64", "report", "document", "slo", "sys", "target", "tls", "units", "verdict"];

/// What is outside of the library: it may name public modules.
pub(crate) const OUTSIDE: &[&str] = &["tests", "benches"];

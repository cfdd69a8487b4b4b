//! Texts of the help: what to type first, and what does not fit beside a flag.

/// The help of `maxq` itself: examples come first, since a newcomer reads no further; then the commands, the flags and the exit
/// codes.
pub(super) const TEMPLATE: &str = "\
{about-with-newline}
{usage-heading} {usage}{after-help}

{all-args}

Exit codes: 0 finished, 1 a gate failed (--slo, --abort-on, --on-overload abort), 2 wrong usage,
3 slower (compare), 4 inconclusive (ceiling, compare), 5 target unusable, 6 not valid (--strict, compare),
7 machine refuses (descriptors, --engine uring), 8 results not written,
129, 130, 131 or 143 ended by SIGHUP, SIGINT, SIGQUIT or SIGTERM, with a partial report.";

/// What to type first.
pub(super) const EXAMPLES: &str = "\
Examples:
  maxq demo                                       try it, no server needed
  maxq http://127.0.0.1:8080/                     64 connections, 10 seconds
  maxq -c 256 -d 30s -p 16 http://host/           256 connections, 16 requests in flight on each
  maxq -R 100 -d 1m30s http://host/               100 a second: 200 users who think for 2 s
  maxq -R 500 --slo 'p99<50ms' http://host/       exit code 1 when it does not hold
  maxq -b '{\"name\":\"lamp\"}' http://host/items   POST of JSON; 'a=1&b=2' is a form, @FILE a file
  maxq --stages '30s@0..1k,10s@0' http://host/    a ramp up from 0, then a pause
  maxq spike --base 0 --peak 2k http://host/      what a spike does, and how long until it is over
  maxq ceiling --slo 'p99<50ms' http://host/      the highest rate that holds it
  maxq sweep --rate 100..2k/12 http://host/       one load after the other, and where it bends
  maxq compare --urls http://old/ http://new/     is it slower, or is it noise
  maxq -o run.txt --timeseries - http://host/     each second as JSON; the report in a file";

/// What a spike may come out of.
pub(super) const SPIKES: &str = "\
Examples:
  maxq spike --base 1k --peak 20k http://host/         how long until p99 is what it was before
  maxq spike --base 0 --peak 2k http://host/           how long until everything is answered
  maxq spike --base 500 --peak 2k --at 10s -d 1m30s http://host/

With --base 0, no requests come before the spike or after it. Then there is no p99 to return to,
and the report says how long it took to answer everything instead.";

/// What the embedded target answers.
pub(super) const PATHS: &str = "\
Paths:
  /                 13 bytes of text
  /bytes/N          N bytes                       /chunked/N   the same in chunks
  /delay/T          after a time, like 5ms        /status/N    that status
  /echo             the request, as it came       /close       then the connection is closed
  /counters         what it counted itself, as JSON; not counted

Laws, whose latencies are known beforehand; times like 500us, 1ms, 2s:
  /law/fixed?d=T                         each answer after T
  /law/mixture?fast=T&slow=T&every=N     each N-th is slow
  /law/md1?d=T                           one server, first come first served, T each: M/D/1 under
                                         --arrivals poisson; overload it with more than 1/T
  /law/mm1?mean=T[&seed=N]               the same, exponentially distributed
  /law/stall?d=T&stall=T&every=T         nothing is answered at the end of each period
  /law/silent?d=T&every=N                each N-th is never answered
  /law/bucket?rate=N&burst=N             503 where no token is left
  /law/script?seed=N&d=T&p503=P&preset=P&ptruncated=P&pgarbage=P&pclose=P&psilent=P
                                         faults with these probabilities, all may be left out
  Any law: stamps=1 adds X-Seq, X-Recv-ns, X-Send-ns and X-Service-ns to its answers (monotonic clock);
  run=TEXT makes it start anew, with counters of its own.";

/// What a sweep may be of.
pub(super) const SWEEPS: &str = "\
Examples:
  maxq sweep --rate 100..2k/12 http://host/              open loop: where it saturates, and at which latency
  maxq sweep --rate 100..2k/8 --repeat 5 --svg sweep.svg http://host/
  maxq sweep --connections 1,2,4..512 http://host/       closed loop: how throughput scales (USL)
  maxq sweep --rate 1k --connections 1,2,4..64 http://host/   how many connections a rate needs
  maxq sweep --pipeline 1,2,4..64 --format csv -o sweep.csv http://host/

Exactly one of --rate, --connections and --pipeline has several values. A run of one value has a warm-up (--warmup) and a
measured time (-d) of its own.";

/// The grammar of `--slo`, in short.
pub(super) const SLO: &str = "\
Gates on the measured window, like 'p99<50ms, max<1s, errors<0.1%'; exit code 1 when one fails. Each is METRIC[SCOPE], \
< <= > or >=, and a limit with its unit (50ms or 50s, never 50). Metrics: pN max mean (response time), service.pN, ttfb.pN, lag.pN (client lag: how late maxq \
itself was, without the waiting for a connection), errors timeouts unsent (% of scheduled), achieved goodput (% of \
offered, or /s). Scopes: a phase like [spike], a time like [2s..5s], [each 1s]. p99<50ms@95% wants the whole confidence \
interval below";

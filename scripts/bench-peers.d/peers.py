"""The workloads, and how each tool is asked for one and read."""
import dataclasses
import json
import math
import re

import targets

PEERS = ("maxq", "wrk", "hey", "ab", "h2load", "gcannon")
# the floor is no tool: it sends one GET for ever over plain TCP, and is the limit to compare with
GET = (*PEERS, "floor")
DEEP = ("maxq", "wrk", "h2load", "gcannon", "floor")
CLOSE = ("maxq", "wrk", "hey", "ab", "gcannon")
SECURE = ("maxq", "wrk", "hey", "ab", "h2load")
# what most tools send of their own is sent by all, except that ab speaks HTTP/1.0 and hey keeps headers of its own
LINES = ("User-Agent: bench-peers", "Accept: */*")
SHORT = ("depth1-c1", "depth1-c64-serve", "body64k-nginx")


@dataclasses.dataclass
class Workload:
    """What every tool of one comparison is asked to do; `size` is the payload of a response, or of an upload."""
    name: str
    server: str
    path: str
    connections: int
    tools: tuple = GET
    size: int = 13
    depth: int = 1
    upload: bool = False
    close: bool = False
    reset: bool = False
    min_seconds: float = 0.0


WORKLOADS = [
    Workload("depth1-c1", "nginx", "/", 1),
    Workload("depth1-c1-serve", "serve", "/", 1),
    Workload("depth1-c64-serve", "serve", "/", 64),
    Workload("depth1-c64-nginx", "nginx", "/", 64),
    Workload("depth1-c1000-nginx", "nginx", "/", 1000),
    Workload("depth1-c1000-serve", "serve", "/", 1000),
    Workload("pipeline16-serve", "serve", "/", 64, DEEP, depth=16),
    Workload("pipeline16-nginx", "nginx", "/", 64, DEEP, depth=16),
    Workload("body1k-nginx", "nginx", "/1k", 64, size=1024),
    Workload("body1k-serve", "serve", "/bytes/1024", 64, size=1024),
    Workload("body64k-nginx", "nginx", "/64k", 64, size=65536),
    Workload("body1m-nginx", "nginx", "/1m", 64, size=1 << 20),
    Workload("body64k-serve", "serve", "/bytes/65536", 64, size=65536),
    Workload("body1m-serve", "serve", "/bytes/1048576", 64, size=1 << 20),
    Workload("post1k-nginx", "nginx", "/post", 64, PEERS, size=1024, upload=True),
    Workload("post1m-nginx", "nginx", "/post", 64, PEERS, size=1 << 20, upload=True),
    Workload("close-nginx", "nginx", "/", 64, CLOSE, close=True),
    # gcannon closes with resets, and cannot do otherwise
    Workload("reset-nginx", "nginx", "/", 64, ("maxq", "gcannon"), close=True, reset=True),
    # nginx holds each answer back for about a second here, so nearly all connections wait
    Workload("idle10k-nginx", "nginx", "/second", 10_000, PEERS, min_seconds=3.0),
    Workload("tls1k-nginx", "nginx-tls", "/1k", 64, SECURE, size=1024),
    Workload("tls1m-nginx", "nginx-tls", "/1m", 64, SECURE, size=1 << 20),
    Workload("tls-handshakes-nginx", "nginx-tls", "/", 64, ("maxq", "wrk", "hey", "ab"), close=True),
    # a handshake takes nginx half a millisecond, so that all connections take it a while
    Workload("tls-idle2k-nginx", "nginx-tls", "/second", 2_000, ("maxq", "wrk"), min_seconds=6.0),
]

def headers_of(work):
    """The lines that every tool is told to send, as far as it can be told."""
    upload = ["Content-Type: application/octet-stream"] if work.upload else []
    return [*LINES, *upload, *(["Connection: close"] if work.close else [])]


def input_file(bench, work, kind, url=""):
    """Write what a tool reads from a file for this workload, and return its path."""
    path = bench.dir / f"{work.name}.{kind}"
    if kind == "body":
        path.write_bytes(b"x" * work.size)
    elif kind == "raw":
        lines = [f"{'POST' if work.upload else 'GET'} {work.path} HTTP/1.1", "Host: " + url.split("/")[2],
                 *headers_of(work), *([f"Content-Length: {work.size}"] if work.upload else [])]
        path.write_bytes("".join(line + "\r\n" for line in [*lines, ""]).encode() + b"x" * work.size * work.upload)
    elif work.upload:
        path.write_text(f'wrk.method = "POST"\nwrk.body = string.rep("x", {work.size})\n')
    else:  # wrk counts the requests in what request() returns, and counts each response
        path.write_text("local all\n"
                        f"init = function() all = string.rep(wrk.format(), {work.depth}) end\n"
                        "request = function() return all end\n")
    return str(path)


def command_line(bench, tool, work, url):
    """The command line of one run, without its core."""
    seconds = max(bench.seconds, work.min_seconds)
    whole, ms, conns = math.ceil(seconds), f"{round(seconds * 1000)}ms", str(work.connections)
    body = input_file(bench, work, "body") if work.upload else None
    headers = [part for line in headers_of(work) for part in ("-H", line)]
    if tool == "maxq":
        more = (["-b", "@" + body] if body else []) + (["--no-keepalive"] if work.close else [])
        more += ["--reset-on-close"] if work.reset else []
        more += ["--cacert", str(targets.certificate(bench.dir))] if url.startswith("https:") else []
        more += headers
        return [bench.binaries["maxq"], "--json", "--no-progress", "--warmup", "200ms", "-t", "1", "--cpus",
                str(bench.client_core), "-c", conns, "-d", ms, "-p", str(work.depth), *more, url]
    if tool == "wrk":
        more = [*headers]
        if body or work.depth > 1:
            more += ["-s", input_file(bench, work, "lua")]
        return ["wrk", "-t", "1", "-c", conns, "-d", f"{whole}s", "--latency", "--timeout", "10s", *more, url]
    if tool == "hey":
        more = (["-m", "POST", "-D", body, "-T", "application/octet-stream"] if body else []) + (["-disable-keepalive"] if work.close else [])
        return ["hey", "-A", "*/*", "-disable-compression", "-z", ms, "-c", conns, "-cpus", "1", *more, url]
    if tool == "ab":  # -t comes first, it sets a small -n; -e tells the median in microseconds
        more = (["-p", body, "-T", "application/octet-stream"] if body else []) + ([] if work.close else ["-k"])
        (bench.dir / "ab.csv").unlink(missing_ok=True)
        return ["ab", "-t", str(whole), "-n", str(1_000_000 * whole), "-c", conns, "-q",
                "-H", LINES[0], "-e", str(bench.dir / "ab.csv"), *more, url]
    if tool == "h2load":
        return ["h2load", "--h1", "-D", ms, "-c", conns, "-t", "1", "-m", str(work.depth),
                *headers, *(["-d", body] if body else []), url]
    more = ["--raw", input_file(bench, work, "raw", url), *(["-r", "1"] if work.close else [])]
    if tool == "floor":
        address, _, path = url.removeprefix("http://").partition("/")
        return [bench.binaries["floor"], address, "/" + path, conns, str(work.depth), str(seconds), *LINES]
    return [bench.binaries["gcannon"], url, "-c", conns, "-t", "1", "-d", f"{whole}s", "-p", str(work.depth),
            "--json", *more]


def number(pattern, text, default=None):
    """The first group of a pattern as a number; without a default it must be there."""
    match = re.search(pattern, text)
    if match is None and default is None:
        raise ValueError(f"no figure for {pattern!r}")
    return float(match.group(1)) if match else default


def micros(text):
    """A duration as tools print it, in microseconds."""
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", text).groups()
    return float(value) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7, "h": 3.6e9}[unit]


def positive(**counts):
    """Name the counts that are not zero: the errors of a run."""
    return [f"{value:.0f} {name.replace('_', ' ')}" for name, value in counts.items() if value]


def read_maxq(text):
    """Read maxq's JSON. Its CPU time covers the warm-up too, so the requests of all phases count for it."""
    report = json.loads(text)
    counts, links = report["counts"], report["connections"]
    names = ("unsent", "unexpected", "http_error", "protocol_error", "truncated", "reset", "timeout",
             "in_flight_at_end")
    errors = positive(**{n: sum(p["counts"][n] for p in report["phases"]) for n in names},
                      connections_failed=links["failed"], connections_not_opened=links["asked"] - links["opened"])
    errors += [f"{e['count']} {e['phase']} {e['kind']}" for e in report["errors"]]
    return {"rps": report["rates"]["achieved_rps"], "p50_us": report["latency"]["response"]["p50_us"],
            "requests": sum(p["counts"]["completed"] for p in report["phases"]), "measured": counts["completed"],
            "spin_share": report["client"].get("spin_share"), "verdict": report["verdict"]["code"]}, errors


def read_wrk(text):
    """Read wrk's text. Pipelined, it times a batch of requests, not each."""
    p50 = re.search(r"\s50%\s+(\S+)", text)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    connect, read, write, timeout = map(int, sockets.groups()) if sockets else (0, 0, 0, 0)
    errors = positive(connect=connect, read=read, write=write, timeout=timeout,
                      not_2xx=number(r"Non-2xx or 3xx responses: (\d+)", text, 0))
    return {"rps": number(r"Requests/sec:\s+([\d.]+)", text), "requests": number(r"(\d+) requests in", text),
            "p50_us": micros(p50.group(1)) if p50 else None}, errors


def read_hey(text):
    """Read hey's text. It lists at most a million responses by status, so rate and time tell their number."""
    rps, total = number(r"Requests/sec:\s+([\d.]+)", text), number(r"Total:\s+([\d.]+) secs", text)
    p50 = number(r"50% in ([\d.]+) secs", text, math.nan)
    codes = re.findall(r"\[(\d+)\]\s+(\d+) responses", text)
    failed = re.findall(r"\[(\d+)\]\s+(.*)", text.partition("Error distribution:")[2])
    errors = [f"{count} status {code}" for code, count in codes if code[0] != "2"]
    errors += [f"{count} {what[:80]}" for count, what in failed]
    data = number(r"Total data:\s+(\d+) bytes", text, math.nan)
    done = round(rps * total) - sum(int(count) for count, _ in failed)
    return {"rps": done / total, "requests": done, "p50_us": None if math.isnan(p50) else p50 * 1e6,
            "bytes_per_s": None if math.isnan(data) else data / total}, errors


def read_ab(text, csv):
    """Read ab's text, and the median out of its percentile file (the text has whole milliseconds)."""
    seconds, done = number(r"Time taken for tests:\s+([\d.]+)", text), number(r"Complete requests:\s+(\d+)", text)
    errors = positive(failed=number(r"Failed requests:\s+(\d+)", text, 0),
                      write=number(r"Write errors:\s+(\d+)", text, 0),
                      not_2xx=number(r"Non-2xx responses:\s+(\d+)", text, 0))
    return {"rps": number(r"Requests per second:\s+([\d.]+)", text), "requests": done,
            "p50_us": number(r"(?m)^50,([\d.]+)", csv) * 1e3,
            "bytes_per_s": number(r"HTML transferred:\s+(\d+)", text) / seconds}, errors


def read_h2load(text):
    """Read h2load's text; only newer versions print a median."""
    seconds = micros(re.search(r"finished in (\S+?),", text).group(1)) / 1e6
    errors = positive(**{n: number(rf"(\d+) {n}", text) for n in ("failed", "errored", "timeout")})
    done = number(r"(\d+) succeeded", text)
    table = re.search(r"\n\s+(min .*)\n(?:time for )?request\s*:(.*)", text)
    row = dict(zip(table.group(1).split(), table.group(2).split())) if table else {}
    return {"rps": done / seconds, "requests": number(r"(\d+) done", text),
            "p50_us": micros(row["median"]) if "median" in row else None,
            "bytes_per_s": number(r"\((\d+)\) data", text) / seconds}, errors


def read_gcannon(text):
    """Read gcannon's JSON. It leaves its first 0.1 s out, but its CPU time has it: the requests are scaled up."""
    report = json.loads(text)
    requests = round(report["responses"] * (1 + 0.1 / report["elapsed_sec"]))
    errors = positive(**report["errors"], **{f"status_{k}": v for k, v in report["status"].items() if k != "2xx"})
    return {"rps": report["rps"], "requests": requests, "p50_us": report["latency_us"]["p50"]}, errors


def read_floor(text):
    """Read the floor's JSON. It times nothing, and ends with the first error."""
    report = json.loads(text)
    return {"rps": report["rps"], "requests": report["requests"], "p50_us": None}, []


READERS = {"maxq": read_maxq, "wrk": read_wrk, "hey": read_hey, "h2load": read_h2load, "gcannon": read_gcannon,
           "floor": read_floor}


def read(bench, tool, text):
    """The figures and the errors in a tool's output; raises when it holds no figures."""
    figures, errors = read_ab(text, (bench.dir / "ab.csv").read_text()) if tool == "ab" else READERS[tool](text)
    if not figures["requests"]:
        raise ValueError("; ".join(["no request was answered", *errors]))
    return figures, errors

"""What open-loop load generators are asked, and how their answers are read. Latencies are milliseconds."""
import base64
import json
import math
import struct
import zlib

QUANTILES = (50, 90, 95, 99, 99.9)
COLUMNS = ("mean", *(f"p{q:g}" for q in QUANTILES), "max")

# wrk and wrk2 both hand done() their statistics in microseconds.
LUA = """
function done(summary, latency, requests)
  local f = io.open("@OUT@", "w")
  f:write(string.format("requests %d\\nduration_us %d\\n", summary.requests, summary.duration))
  f:write(string.format("mean %.3f\\nmax %d\\n", latency.mean, latency.max))
  for _, p in ipairs({50, 90, 95, 99, 99.9}) do
    f:write(string.format("p%g %d\\n", p, latency:percentile(p)))
  end
  for _, k in ipairs({"connect", "read", "write", "status", "timeout"}) do
    f:write(string.format("error_%s %d\\n", k, summary.errors[k]))
  end
  f:close()
end
"""

# hey takes its -o for a template unless it is "csv"; its numbers are seconds.
HEY = ('{"lats":{{jsonify .Lats}},"errors":{{jsonify .ErrorDist}},"status":{{jsonify .StatusCodeDist}},'
       '"requests":{{.NumRes}},"total":{{.Total.Seconds}}}')


def rank(pairs, quantile):
    """The value of nearest rank among sorted pairs of value and count."""
    wanted = max(1, math.ceil(quantile / 100 * sum(n for _, n in pairs) - 1e-9))
    for value, count in pairs:
        wanted -= count
        if wanted <= 0:
            return value
    return math.nan


def row_of(pairs, scale):
    """Mean, quantiles and maximum of sorted pairs of value and count."""
    total = sum(n for _, n in pairs)
    row = {f"p{q:g}": rank(pairs, q) * scale for q in QUANTILES}
    return {**row, "mean": sum(v * n for v, n in pairs) / total * scale, "max": pairs[-1][0] * scale} if total else {}


def zigzag_counts(body):
    """Indices and counts of HdrHistogram's V2 encoding."""
    at, index = 0, 0
    while at < len(body):
        value = 0
        for turn in range(9):
            byte = body[at]
            at += 1
            value |= (byte if turn == 8 else byte & 0x7F) << (7 * turn)
            if not byte & 0x80:
                break
        number = (value >> 1) ^ -(value & 1)
        if number < 0:
            index -= number
            continue
        yield index, number
        index += 1


def histogram(text):
    """Sorted pairs of value and count of a base64 HdrHistogram V2 document, compressed."""
    raw = base64.b64decode(text)
    cookie, length = struct.unpack(">iI", raw[:8])
    if cookie & 0xFFFFFF0F != 0x1C849304:
        raise ValueError(f"not an HdrHistogram: {cookie:#x}")
    data = zlib.decompress(raw[8:8 + length])
    size, _, digits, lowest, _, _ = struct.unpack(">iiiqqd", data[4:40])
    unit = int(math.log2(lowest)) if lowest > 0 else 0
    bits = math.ceil(math.log2(2 * 10 ** digits))
    half = 1 << (bits - 1)
    pairs = []
    for index, count in zigzag_counts(data[40:40 + size]):
        bucket, sub = (index >> (bits - 1)) - 1, (index & (half - 1)) + half
        bucket, sub = (bucket, sub) if bucket >= 0 else (0, sub - half)
        if count:
            pairs.append((((sub + 1) << (bucket + unit)) - 1, count))
    return pairs


def maxq(binary, idle):
    """maxq on one worker; every request counts, the warm-up is off as the other tools have none."""
    def ask(job, folder):
        command = [binary, "-t", "1", "--cpus", str(job.core), "--idle", idle, "-c", str(job.connections),
                   "-R", str(job.rate), "-d", f"{job.seconds}s", "--warmup", "0", "--timeout", f"{job.timeout}s",
                   "--json", "-o", f"{folder}/maxq.json", job.url]

        def read(_):
            with open(f"{folder}/maxq.json", encoding="utf-8") as file:
                report = json.load(file)
            latency = report["latency"]["response"]
            row = {name: latency[name.replace(".", "_") + "_us"] / 1e3 for name in COLUMNS}
            counts = report["counts"]
            errors = {key: counts[key] for key in ("timeout", "reset", "unsent", "http_error") if counts[key]}
            return {**row, "requests": counts["completed"], "rate": report["rates"]["achieved_rps"],
                    "errors": errors, "note": report["verdict"]["code"]}
        return command, read
    return ask


def wrk_like(binary, paced):
    """wrk, and wrk2 with its rate."""
    def ask(job, folder):
        script, result = f"{folder}/done.lua", f"{folder}/result"
        with open(script, "w", encoding="utf-8") as file:
            file.write(LUA.replace("@OUT@", result))
        command = [binary, "-t1", f"-c{job.connections}", f"-d{job.seconds}s", "--latency", "-s", script,
                   "--timeout", f"{max(1, math.ceil(job.timeout))}s", *([f"-R{job.rate}"] if paced else []), job.url]

        def read(out):
            with open(result, encoding="utf-8") as file:
                found = {key: float(value) for key, value in map(str.split, file)}
            errors = {k[6:]: int(v) for k, v in found.items() if k.startswith("error_") and v}
            note = "closed loop, as fast as it can"
            if paced:
                note = "latency from 10 s on" if "Thread calibration" in out else "start included"
            return {**{name: found[name] / 1e3 for name in COLUMNS}, "requests": int(found["requests"]),
                    "rate": found["requests"] / found["duration_us"] * 1e6, "errors": errors, "note": note}
        return command, read
    return ask


def zrk(binary):
    """zrk, which corrects for coordinated omission."""
    def ask(job, folder):
        command = [binary, "-t1", f"-c{job.connections}", f"-d{job.seconds}s", f"-R{job.rate}", "--timeout",
                   f"{round(job.timeout * 1e6)}us", "--format", "json", "-o", f"{folder}/zrk.json", job.url]

        def read(_):
            with open(f"{folder}/zrk.json", encoding="utf-8") as file:
                report = json.load(file)
            row = row_of(sorted(histogram(report["latency_histogram"])), 1e-3)
            errors = {key: count for key, count in report["errors"].items() if count}
            return {**row, "requests": report["requests"], "rate": report["achieved_rate"], "errors": errors, "note": ""}
        return command, read
    return ask


def oha(binary):
    """oha with its correction switched on."""
    def ask(job, folder):
        command = [binary, "--no-tui", "--worker-threads", "1", "-c", str(job.connections), "-z", f"{job.seconds}s",
                   "-q", str(job.rate), "-t", f"{round(job.timeout * 1e3)}ms", "--latency-correction",
                   "--output-format", "json", "-o", f"{folder}/oha.json", job.url]

        def read(_):
            with open(f"{folder}/oha.json", encoding="utf-8") as file:
                report = json.load(file)
            summary, quantiles = report["summary"], report["latencyPercentiles"]
            row = {f"p{q:g}": quantiles[f"p{q:g}"] * 1e3 for q in QUANTILES}
            done = sum(report["statusCodeDistribution"].values())
            errors = {key: count for key, count in report["errorDistribution"].items() if count}
            return {**row, "mean": summary["average"] * 1e3, "max": summary["slowest"] * 1e3, "requests": done,
                    "rate": done / summary["total"], "errors": errors, "note": "--latency-correction"}
        return command, read
    return ask


def hey(binary):
    """hey: a closed loop, each worker held to its share of the rate."""
    def ask(job, _folder):
        share = job.rate / job.connections
        command = [binary, "-cpus", "1", "-c", str(job.connections), "-z", f"{job.seconds}s", "-q", f"{share:g}",
                   "-t", str(max(1, math.ceil(job.timeout))), "-o", HEY, job.url]

        def read(out):
            report = json.loads(out)
            errors = report["errors"] or {}
            done = report["requests"] - sum(errors.values())
            row = row_of([(value, 1) for value in sorted(report["lats"] or [])], 1e3)
            return {**row, "requests": done, "rate": done / report["total"], "errors": errors,
                    "note": f"closed loop, -q {share:g} a worker"}
        return command, read
    return ask

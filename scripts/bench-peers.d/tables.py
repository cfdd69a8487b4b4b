"""Medians, ratios and tables of runs."""
import statistics
import sys

BIG = 65536  # from this payload on, bytes are what a run costs
SERVERS = {"nginx": "nginx", "nginx-tls": "nginx, TLS 1.3, ECDSA", "serve": "maxq serve"}
METRICS = ("rps", "bytes_per_s", "cpu_per_mreq", "cpu_per_gb", "rss_bytes", "p50_us", "busy")


def used(runs, tool):
    """The runs that stand for a tool: the clean ones, or all with figures when none is clean."""
    mine = [r for r in runs if r["tool"] == tool and "rps" in r]
    return [r for r in mine if not r["errors"]] or mine


def median(values):
    """The median of the values that are there."""
    there = [v for v in values if v is not None]
    return statistics.median(there) if there else None


def divide(a, b):
    """A ratio, or nothing."""
    return a / b if a is not None and b else None


def summarize(runs, tools):
    """Summarize the runs of a workload, a row a tool; every ratio is maxq's figure over the tool's."""
    rows, base = [], {}
    by_round = {r["round"]: r for r in used(runs, "maxq")}
    for tool in tools:
        mine = used(runs, tool)
        every = [r for r in runs if r["tool"] == tool]
        row = {"tool": tool, "runs": len(every), "clean": sum(not r["errors"] for r in every),
               "errors": sorted({e for r in every for e in r["errors"]})}
        row.update({m: median([r.get(m) for r in mine]) for m in METRICS})
        rates = [r["rps"] for r in mine]
        row["rps_min"], row["rps_max"] = (min(rates), max(rates)) if rates else (None, None)
        base = base or row
        pairs = [(by_round[r["round"]], r) for r in mine if r["round"] in by_round]
        ratios = {"rps": "rps", "cpu": "cpu_per_mreq", "p50": "p50_us", "rss": "rss_bytes"}
        row["ratio"] = {k: divide(base[m], row[m]) for k, m in ratios.items()}
        row["round_ratio"] = {k: median([divide(a.get(m), b.get(m)) for a, b in pairs]) for k, m in ratios.items()}
        rows.append(row)
    return rows


def rounded(value):
    """A figure of five significant digits."""
    return value if value is None or isinstance(value, int) else float(f"{value:.5g}")


def cell(value, digits=0):
    """A number for a table."""
    return "-" if value is None else f"{value:,.{digits}f}"


def plural(count, what):
    """A count with its noun."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def table(work, rows):
    """The table of a workload: its header and its rows of text."""
    big = work.size >= BIG
    header = ["tool", "req/s", "min..max", "MB/s", "CPU s/Mreq", *(["CPU s/GB"] if big else []), "RSS MB", "p50 us",
              "busy", "x req/s", "x CPU", "x p50", "x RSS", "x req/s*", "x CPU*", "clean"]
    lines = []
    for row in rows:
        scale = {k: divide(row[k], 1e6) for k in ("bytes_per_s", "rss_bytes")}
        ratio, rounds = row["ratio"], row["round_ratio"]
        ratios = [ratio["rps"], ratio["cpu"], ratio["p50"], ratio["rss"], rounds["rps"], rounds["cpu"]]
        lines.append([row["tool"] + ("" if row["clean"] == row["runs"] else " !"), cell(row["rps"]),
                      f"{cell(row['rps_min'])}..{cell(row['rps_max'])}", cell(scale["bytes_per_s"], 1),
                      cell(row["cpu_per_mreq"], 2), *([cell(row["cpu_per_gb"], 3)] if big else []),
                      cell(scale["rss_bytes"], 1), cell(row["p50_us"]),
                      "-" if row["busy"] is None else f"{row['busy']:.0%}",
                      *(["1"] * 6 if row["tool"] == "maxq" else [cell(r, 2) for r in ratios]),
                      f"{row['clean']}/{row['runs']}"])
    return header, lines


def show(bench, work, rows):
    """Print the table of a workload, and what went wrong in it."""
    header, lines = table(work, rows)
    what = [plural(work.connections, "connection"), f"{work.size:,}-byte {'uploads' if work.upload else 'responses'}"]
    what += [f"{work.depth} requests in flight on each"] if work.depth > 1 else []
    what += ["a connection per request"] if work.close else []
    what += ["closed with a reset"] if work.reset else []
    title = f"{work.name}: {', '.join(what)}, {SERVERS[work.server]}"
    if bench.markdown:
        print(f"\n### {title}\n\n| {' | '.join(header)} |\n|---|{'---:|' * (len(header) - 1)}")
        print("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
    else:
        widths = [max(map(len, column)) for column in zip(header, *lines)]
        print(f"\n{title}")
        for line in [header, *lines]:
            print("  " + line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:])), sep="  ")
    for row in rows:
        if row["errors"]:
            used_too = "" if row["clean"] else ", the figures are of runs with errors"
            print(f"{'- ' if bench.markdown else '  ! '}{row['tool']}: {row['runs'] - row['clean']} of {row['runs']} "
                  f"runs had errors{used_too}: {'; '.join(row['errors'][:4])}")
    sys.stdout.flush()


def show_facts(bench, known):
    """Print what was run where, and how to read the tables."""
    bullet = "- " if bench.markdown else ""
    tools = ", ".join(f"{k} {v.removeprefix('maxq ')}" for k, v in known["versions"].items())
    for line in (f"{known['cpu']}, {known['cores']} cores, Linux {known['kernel']}, load average "
                 f"{known['load_average']:.2f} at the start ({known['started_at']})", tools,
                 f"server on core {bench.server_core}, client on core {bench.client_core}, "
                 f"{plural(bench.rounds, 'round')} of {bench.seconds:g} s, tools interleaved, medians of runs "
                 "without errors",
                 "x: maxq over the tool, ratio of medians; x*: median of the ratios in each round (req/s above 1, the "
                 "rest below 1 is for maxq)",
                 "busy: client CPU time over wall time; clean: runs without errors of all runs",
                 "MB = 10^6 bytes of payload; p50 of wrk with pipelining is of a batch, that of hey comes in steps "
                 "of 100 us; CPU time includes warm-up, and maxq's any spinning"):
        print(bullet + line)

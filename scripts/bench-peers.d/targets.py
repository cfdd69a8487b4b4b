"""The servers that the tools are measured against."""
import contextlib
import os
import random
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

NGINX = """
{user} worker_processes 1; worker_cpu_affinity {mask}; worker_rlimit_nofile {files};
daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600; default_type text/plain;
  client_max_body_size 8m; client_body_buffer_size 2m; client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  limit_req_zone $server_port zone=second:1m rate=10000r/s;
  upstream sink {{ server unix:{dir}/sink; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} backlog=16384; root {dir}/html;
    location = / {{ return 200 "Hello, World!"; }}
    location = /second {{ limit_req zone=second burst=30000; }}
    # the whole body is read, then dropped: only the head goes on to the upstream
    location = /post {{
      proxy_pass http://sink; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_pass_request_body off; proxy_set_header Content-Length "";
    }}
  }}
  ssl_certificate {dir}/certificate.pem; ssl_certificate_key {dir}/key.pem;
  # one version and one cipher, so that all tools agree on the same; no session is resumed
  ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
  ssl_session_cache off; ssl_session_tickets off;
  server {{
    listen 127.0.0.1:{secure_port} ssl backlog=16384; root {dir}/html;
    location = / {{ return 200 "Hello, World!"; }}
    location = /second {{ limit_req zone=second burst=30000; }}
  }}
  server {{ listen unix:{dir}/sink; keepalive_requests 1000000000; location / {{ return 200 "ok"; }} }}
}}
"""


@contextlib.contextmanager
def server(command, **options):
    """Start a server in a session of its own, away from the terminal's Ctrl-C, and end it in any case."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port():
    """Find a free port below the ephemeral range, where no client connection can take it."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def make_certificate(work):
    """Make an ECDSA certificate for 127.0.0.1, signed by itself, and its key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=bench-peers", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", str(work / "key.pem"), "-out", str(certificate(work))],
                   check=True, stderr=subprocess.DEVNULL)


def certificate(work):
    """Where the certificate lies."""
    return work / "certificate.pem"


def start_nginx(stack, work, core):
    """Start nginx with its own configuration and return its base URLs, plain and TLS."""
    (work / "html").mkdir()
    make_certificate(work)
    for name, size in (("1k", 1024), ("64k", 65536), ("1m", 1 << 20)):
        (work / "html" / name).write_bytes(b"x" * size)
    (work / "html" / "second").write_bytes(b"Hello, World!")
    port, secure_port = free_port(), free_port()
    config = work / "nginx.conf"
    config.write_text(NGINX.format(
        user="user root;" if os.geteuid() == 0 else "", mask="1" + "0" * core, dir=work, port=port, secure_port=secure_port,
        files=resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
    process = stack.enter_context(server(["nginx", "-p", str(work), "-c", str(config)], stderr=subprocess.DEVNULL))
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return f"http://127.0.0.1:{port}", f"https://127.0.0.1:{secure_port}"
        if process.poll() is not None:
            break
        time.sleep(0.05)
    sys.exit("nginx did not start: " + (work / "error.log").read_text())


def start_serve(stack, maxq, core):
    """Start `maxq serve` on a free port and return its base URL."""
    command = [maxq, "serve", "--listen", "127.0.0.1:0", "--cpus", str(core)]
    process = stack.enter_context(server(command, stdout=subprocess.PIPE, text=True))
    match = re.search(r"\d+\.\d+\.\d+\.\d+:\d+", process.stdout.readline())
    return f"http://{match.group(0)}" if match else sys.exit("maxq serve did not start")


def check_target(url, work):
    """Make sure that the server answers a workload's request as expected, before anything is measured."""
    body = b"x" * work.size if work.upload else None
    context = ssl._create_unverified_context() if url.startswith("https:") else None
    with urllib.request.urlopen(url, data=body, timeout=10, context=context) as answer:
        size = len(answer.read())
    if answer.status != 200 or (not work.upload and size != work.size):
        sys.exit(f"{url} answers {answer.status} with {size} bytes")

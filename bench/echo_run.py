"""Runs an echo server under load. Shared by demo.py and echo_compare.py."""

import json
import os
import signal
import statistics
import subprocess

# What echo_load reports, in the order of the tables: key, heading, format, better when higher.
FIGURES = (
    ('requests_per_s', 'requests/s', '{:,.0f}', True),
    ('p50_us', 'p50 µs', '{:,.0f}', False),
    ('p99_us', 'p99 µs', '{:,.0f}', False),
    ('p999_us', 'p99.9 µs', '{:,.0f}', False),
    ('server_cpu_us_per_request', 'server CPU µs/request', '{:.2f}', False),
)


class RunFailed(Exception):
    """A server or the load did not do its part; the text says which and how."""


class EchoServer:
    """A server process that says in its first line where it listens."""

    def __init__(self, command, environment=None):
        self.command = command
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, 'WEFT_LOG': '1', **(environment or {})})
        first = self.process.stdout.readline()
        if not first.startswith('listening on '):
            self.process.kill()
            raise RunFailed(f'{command[0]} did not start: {first}{self.process.stderr.read()}')
        self.port = first.rsplit(':', 1)[1].strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.log = self.process.communicate(timeout=10)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise RunFailed(f'{self.command[0]} does not end when asked to') from None


def run_load(load, server, connections, size, seconds, warmup, quiet=True, pin=None):
    """One run of echo_load; its figures as a dictionary."""
    command = [load, '--port', server.port, '--connections', str(connections), '--size', str(size),
               '--duration', str(seconds), '--warmup', str(warmup),
               '--server-pid', str(server.process.pid), '--json'] + (['--quiet'] if quiet else [])
    done = subprocess.run((pin or []) + command, stdout=subprocess.PIPE, text=True, check=False,
                          stderr=subprocess.PIPE if quiet else None)
    if done.returncode != 0:
        raise RunFailed(f'echo_load failed ({done.returncode}): {done.stdout}{done.stderr or ""}')
    return json.loads(done.stdout)


def median(runs, key):
    values = [run[key] for run in runs if run.get(key) is not None]
    return statistics.median(values) if values else None


def table(headings, rows):
    """Rows of text, right-aligned but for the first column."""
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    def line(row):
        return '  '.join(cell.ljust(width) if i == 0 else cell.rjust(width)
                         for i, (cell, width) in enumerate(zip(row, widths)))
    return '\n'.join(line(row).rstrip() for row in [headings, *rows])

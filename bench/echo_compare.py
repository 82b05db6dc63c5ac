#!/usr/bin/env python3
"""Echo servers side by side: server CPU per request and latency of weft on both drivers, the
hand-written baselines and, where it was found, asio. Servers run one at a time, in an order that
changes every round.

Server and load get a CPU each (--no-pin leaves them to the kernel).
"""

import argparse
import json
import pathlib
import random
import shutil
import statistics
import sys

import echo_run


def servers(build):
    """name: command without the port, environment, what it is compared with."""
    bench = build / 'bench'
    known = {
        'baseline_uring': ([bench / 'baseline_uring_echo'], {}, None),
        'weft_uring': ([bench / 'weft_echo'], {'WEFT_DRIVER': 'uring'}, 'baseline_uring'),
        'baseline_epoll': ([bench / 'baseline_epoll_echo'], {}, None),
        'weft_epoll': ([bench / 'weft_echo'], {'WEFT_DRIVER': 'epoll'}, 'baseline_epoll'),
        'asio': ([bench / 'asio_echo'], {}, None),
    }
    return {name: each for name, each in known.items() if each[0][0].exists()}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('build', type=pathlib.Path, help='a release build with the benchmarks')
    parser.add_argument('--connections', type=int, nargs='+', default=[1, 50, 500])
    parser.add_argument('--size', type=int, default=512, help='bytes per message')
    parser.add_argument('--seconds', type=float, default=2.0, help='measured per run')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--servers', nargs='+', help='only these')
    parser.add_argument('--no-pin', action='store_true')
    parser.add_argument('--json', type=pathlib.Path, help='write every run to this file')
    return parser.parse_args()


def pinned(cpu, options):
    return [] if options.no_pin or not shutil.which('taskset') else ['taskset', '-c', str(cpu)]


def one_run(each, options, connections):
    command, environment, _ = each
    load = str(options.build / 'bench' / 'echo_load' / 'echo_load')
    server = pinned(0, options) + [str(part) for part in command] + ['--port', '0']
    with echo_run.EchoServer(server, environment) as running:
        return echo_run.run_load(load, running, connections, options.size, options.seconds, 0.5,
                                 pin=pinned(1, options))


def report(runs, chosen, connections):
    cpu = 'server_cpu_us_per_request'

    def figure(name, key):
        return echo_run.median(runs[name], key)

    def ratio(name, other):
        """The median over the rounds: the machine changes its pace between them too."""
        if other not in chosen:
            return ''
        pairs = zip(runs[name], runs[other])
        return f'{statistics.median(one[cpu] / two[cpu] for one, two in pairs):.3f}'

    rows = []
    for name, (_, _, peer) in chosen.items():
        spread = [run[cpu] for run in runs[name]]
        rows.append([name, f'{figure(name, cpu):.3f}', f'{min(spread):.3f}–{max(spread):.3f}',
                     ratio(name, peer), ratio(name, 'asio'),
                     f'{figure(name, "p50_us"):.0f}', f'{figure(name, "p99_us"):.0f}',
                     f'{figure(name, "requests_per_s"):,.0f}'])
    print(f'\n{connections} connections')
    print(echo_run.table(['server', 'CPU µs/request', 'min–max', '/ baseline', '/ asio', 'p50 µs',
                          'p99 µs', 'requests/s'], rows), flush=True)


def main():
    options = arguments()
    chosen = servers(options.build)
    if options.servers:
        chosen = {name: chosen[name] for name in options.servers}
    everything = {}
    try:
        for connections in options.connections:
            runs = {name: [] for name in chosen}
            for _ in range(options.rounds):
                for name in random.sample(list(chosen), len(chosen)):
                    runs[name].append(one_run(chosen[name], options, connections))
            everything[connections] = runs
            report(runs, chosen, connections)
    except echo_run.RunFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1), encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())

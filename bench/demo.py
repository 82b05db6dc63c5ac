#!/usr/bin/env python3
"""An echo server on io_uring beside the same server on epoll, under real traffic: one table.

The server is examples/echo_server.cpp; the load comes from bench/echo_load over loopback TCP.
"""

import argparse
import os
import pathlib
import platform
import sys

import echo_run

DRIVERS = ('uring', 'epoll')


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('build', type=pathlib.Path,
                        help='a build folder with examples and benchmarks')
    parser.add_argument('--connections', type=int, default=50)
    parser.add_argument('--size', type=int, default=512, help='bytes per message')
    parser.add_argument('--seconds', type=float, default=2.0, help='measured per run')
    parser.add_argument('--rounds', type=int, default=3, help='runs per driver, alternating')
    return parser.parse_args()


def measure(options):
    """Figures and what the server said of its driver, by driver."""
    server = [str(options.build / 'examples' / 'example_echo_server'), '0']
    load = str(options.build / 'bench' / 'echo_load' / 'echo_load')
    runs = {driver: [] for driver in DRIVERS}
    reports = {}
    for number in range(1, options.rounds + 1):
        for driver in DRIVERS if number % 2 else reversed(DRIVERS):
            if driver in reports and reports[driver] is None:
                continue
            print(f'round {number} of {options.rounds}: {driver}', file=sys.stderr, flush=True)
            try:
                with echo_run.EchoServer(server, {'WEFT_DRIVER': driver}) as running:
                    runs[driver].append(echo_run.run_load(
                        load, running, options.connections, options.size, options.seconds, 0.5,
                        quiet=not sys.stderr.isatty()))
                reports[driver] = running.log.strip().removeprefix('weft: ')
            except echo_run.RunFailed as failed:
                if driver == 'epoll' or runs[driver]:
                    raise
                print(f'io_uring is refused here: {failed}', file=sys.stderr)
                reports[driver] = None
    return runs, reports


def show(options, runs, reports):
    rows = []
    for driver in DRIVERS:
        if runs[driver]:
            rows.append([driver] + [text.format(echo_run.median(runs[driver], key))
                                    for key, _, text, _ in echo_run.FIGURES])
    if all(runs.values()):
        ratios = [echo_run.median(runs['uring'], key) / echo_run.median(runs['epoll'], key)
                  for key, *_ in echo_run.FIGURES]
        rows.append(['uring / epoll'] + [f'{ratio:.2f}' for ratio in ratios])
    print(f'\nEcho over loopback TCP: {options.connections} connections, {options.size} B '
          f'messages, {os.cpu_count()} CPUs, Linux {platform.release()};\n'
          f'medians of {options.rounds} runs of {options.seconds:g} s each, the drivers in turn.\n')
    print(echo_run.table(['driver'] + [heading for _, heading, _, _ in echo_run.FIGURES], rows))
    for driver in DRIVERS:
        if reports.get(driver):
            print(f'\n{reports[driver]}')


def main():
    options = arguments()
    try:
        show(options, *measure(options))
    except echo_run.RunFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
"""No header costs its users more preprocessed lines than its limit.
usage: header_budget.py ROOT COMPILER... [--print]

With --print, says what every header costs and its limit. Private headers are not weighed.
"""

import sys

import headers
import layers
import source_tree

# Path or room -> limit in preprocessed lines; the longest match counts. What gives a limit its
# size: <coroutine> 3.7 k, <system_error> 20 k, <atomic> 24 k, the last two together 24.5 k,
# <chrono> 32 k and 34.7 k with these, <vector> 5 k, <optional> 1.2 k, <unordered_map> 2.5 k.
LIMITS = {
    'runtime/values/': 24_500,
    'runtime/stop/': 24_500,
    'runtime/stop/std_stop.hpp': 35_000,  # is about <stop_token>
    'runtime/task/': 26_000,
    'runtime/time/': 38_000,
    'runtime/scope/': 29_000,
    'runtime/scope/cancel_after.hpp': 38_000,  # the clocks, as in the three below
    'runtime/scope/finally.hpp': 38_000,
    'runtime/scope/shielded.hpp': 38_000,
    'runtime/scope/this_task.hpp': 38_000,
    'runtime/join/': 37_000,
    'runtime/ranges/': 35_500,
    'runtime/pool/': 29_300,
    'runtime/pool/blocking.hpp': 38_000,  # this_task
    'runtime/fiber/': 29_000,
    'runtime/testing/': 40_300,
    'runtime/resilience/': 44_000,
    'runtime/resilience/single_flight.hpp': 48_300,
    'sync/locks/': 26_600,
    'sync/channels/': 28_000,
    'sync/select.hpp': 48_000,  # sleeps and joins are branches, the result a std::variant
    'io/base/': 21_000,
    'io/net/': 29_400,
    'io/': 29_300,
    'weft.hpp': 61_000,
}


def limit_of(header):
    return next(LIMITS[key] for key in sorted(LIMITS, key=len, reverse=True)
                if header.startswith(key))


def once(header):
    return f'#include <weft/{header}>\n'


def check(root, compiler, show=None):
    def judge(report, header, result):
        if result.returncode != 0:
            report.add(header, 1, 'cannot be preprocessed:\n' + result.stderr)
            return
        lines = sum(1 for line in result.stdout.split('\n') if line.strip())
        limit = limit_of(header)
        if show is not None:
            show(header, lines, limit)
        if lines > limit:
            report.add(header, 1, f'{lines} preprocessed lines, the limit is {limit}')

    public = [path for path in headers.headers(root) if layers.is_public(path)]
    report = headers.for_each(root, public, compiler, ['-E', '-P'], once, judge)
    return report


def show_line(header, lines, limit):
    print(f'{lines:7} {limit:7}  {header}')


if __name__ == '__main__':
    words = [word for word in sys.argv[2:] if word != '--print']
    sys.exit(check(source_tree.root_argument(), words or ['c++'],
                   show_line if '--print' in sys.argv else None).finish())

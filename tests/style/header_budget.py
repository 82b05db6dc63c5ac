#!/usr/bin/env python3
"""No header costs its users more preprocessed lines than its limit.
usage: header_budget.py ROOT COMPILER... [--print]

With --print, says what every header costs and its limit. Private headers are not weighed.
"""

import sys

import headers
import layers
import source_tree

# Path or folder -> limit in preprocessed lines; the longest match counts. What gives a limit its
# size: <coroutine> 3.7 k, <system_error> 20 k, <atomic> 24 k, the last two together 24.5 k,
# <chrono> 32 k. tests/style/allow.txt has the exceptions.
LIMITS = {
    'runtime/': 25_000,
    'runtime/awaitable.hpp': 8_000,
    'runtime/generator.hpp': 8_000,
    'runtime/clock.hpp': 36_000,
    'runtime/sleep.hpp': 36_000,
    'runtime/timeout.hpp': 36_000,
    'runtime/resilience/': 44_000,
    'sync/': 25_000,
    'io/': 25_000,
    'weft.hpp': 45_000,
}


def limit_of(header):
    return next(LIMITS[key] for key in sorted(LIMITS, key=len, reverse=True)
                if header.startswith(key))


def once(header):
    return f'#include <weft/{header}>\n'


def check(root, compiler, show=None):
    allowed = source_tree.Allowed(root, ('header-budget',))

    def judge(report, header, result):
        if result.returncode != 0:
            report.add(header, 1, 'cannot be preprocessed:\n' + result.stderr)
            return
        lines = sum(1 for line in result.stdout.split('\n') if line.strip())
        limit = allowed.limit('header-budget', header, lines, limit_of(header))
        if show is not None:
            show(header, lines, limit)
        if lines > limit:
            report.add(header, 1, f'{lines} preprocessed lines, the limit is {limit}')

    public = [path for path in headers.headers(root) if path not in layers.PRIVATE]
    report = headers.for_each(root, public, compiler, ['-E', '-P'], once, judge)
    allowed.finish(report)
    return report


def show_line(header, lines, limit):
    print(f'{lines:7} {limit:7}  {header}')


if __name__ == '__main__':
    words = [word for word in sys.argv[2:] if word != '--print']
    sys.exit(check(source_tree.root_argument(), words or ['c++'],
                   show_line if '--print' in sys.argv else None).finish())

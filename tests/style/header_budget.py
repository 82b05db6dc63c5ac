#!/usr/bin/env python3
"""No header costs its users more preprocessed lines than its limit. usage: header_budget.py ROOT COMPILER...

With --print as the last argument, prints what every header costs and its limit.
"""

import sys

import headers
import source_tree

# Path or folder → limit in preprocessed lines; the longest match counts. What gives a limit its size:
# <coroutine> 3.7 k, <system_error> 20 k, <atomic> 24 k, the last two together 24.5 k, <chrono> 32 k.
LIMITS = {
    'runtime/base/': 25_000,
    'runtime/core/': 25_000,
    'runtime/': 25_000,
    'runtime/awaitable.hpp': 8_000,
    'runtime/generator.hpp': 8_000,
    'sync/': 25_000,
    'io/': 25_000,
}

# Header → its limit where the folder's is too small, and why.
EXCEPTIONS = {
}


def limit_of(header):
    if header in EXCEPTIONS:
        return EXCEPTIONS[header][0]
    return next((LIMITS[key] for key in sorted(LIMITS, key=len, reverse=True)
                 if header.startswith(key)), None)


def once(header):
    return f'#include <weft/{header}>\n'


def check(root, compiler, show=None):
    def judge(report, header, result):
        if result.returncode != 0:
            report.add(header, 1, 'cannot be preprocessed:\n' + result.stderr)
            return
        lines, limit = sum(1 for line in result.stdout.split('\n') if line.strip()), limit_of(header)
        if show is not None:
            show(header, lines, limit)
        if limit is not None and lines > limit:
            report.add(header, 1, f'{lines} preprocessed lines, the limit is {limit}')

    return headers.for_each(root, compiler, ['-E', '-P'], once, judge)


def show_line(header, lines, limit):
    print(f'{lines:7} {limit or "-":>7}  {header}')


if __name__ == '__main__':
    words = sys.argv[2:]
    show_costs = words[-1:] == ['--print']
    compiler_words = [word for word in words if word != '--print'] or ['c++']
    sys.exit(check(source_tree.root_argument(), compiler_words,
                   show_line if show_costs else None).finish())

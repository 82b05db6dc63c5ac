#!/usr/bin/env python3
"""Every system call of I/O stands in io/sys/sys.hpp, and those of the runtime that a simulated
kernel has to answer in runtime/base/sys.hpp. usage: system_calls.py [ROOT]
"""

import re
import sys

import source_tree

SWITCH_POINTS = ('io/sys/sys.hpp', 'runtime/base/sys.hpp')

# What io/ may call of the global namespace: it asks the kernel for nothing.
NO_SYSTEM_CALLS = re.compile(
    r'io_uring_prep_\w+|io_uring_smp_\w+|io_uring_opcode_supported|inet_[np]to[np]|sigemptyset|'
    r'sigaddset|pthread_self|pthread_equal|strerrorname_np')
CALL = re.compile(r'(?<![\w>:])(::)([a-z]\w*)\s*\(')

# What the runtime may not call directly, and where it may all the same.
OF_RUNTIME = re.compile(
    r'(?<![\w>:.])(?:::)?(clock_gettime|getrandom|fcntl)\s*\(|(?<![\w>:])(?:::)(close)\s*\(')
EXEMPT = {
    'runtime/values/stderr_line.cpp': 'a line on stderr, which no simulated kernel has',
}


def check_io(source, report):
    for match in CALL.finditer(source.code):
        name = match.group(2)
        if not NO_SYSTEM_CALLS.fullmatch(name):
            report.add(source.path, source.line_of(match.start()),
                       f'{name}() is called here: give it a function in io/sys/sys.hpp')
    for match in re.finditer(r'\berrno\b', source.code):
        report.add(source.path, source.line_of(match.start()),
                   'errno is read here: the functions of io/sys/sys.hpp give -errno')


def check_runtime(source, report):
    for match in OF_RUNTIME.finditer(source.code):
        name = match.group(1) or match.group(2)
        report.add(source.path, source.line_of(match.start()),
                   f'{name}() is called here: give it a function in runtime/base/sys.hpp')


def check(root):
    report = source_tree.Report()
    for source in source_tree.sources(root, source_tree.LIBRARY):
        if source.path in SWITCH_POINTS or source.path in EXEMPT:
            continue
        if source.path.startswith('io/'):
            check_io(source, report)
        else:
            check_runtime(source, report)
    return report


if __name__ == '__main__':
    sys.exit(check(source_tree.root_argument()).finish())

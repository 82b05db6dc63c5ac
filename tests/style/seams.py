#!/usr/bin/env python3
"""What goes through one place only goes through it everywhere. usage: seams.py [ROOT]

Scheduling: only runtime/sched puts what is ready into a queue; everybody else calls the functions
of make_ready.hpp. I/O: every system call stands in io/sys/sys.hpp, and those of the runtime that a
simulated kernel has to answer in runtime/base/sys.hpp.
"""

import re
import sys

import source_tree

SCHEDULERS = re.compile(r'runtime/sched/(make_ready|worker|scheduler)\.[hc]pp')
ENQUEUES = re.compile(r'(?:\.|->)\s*(schedule|inject|push_ready|push_yielded)\s*\(')
# Functions of that name which put nothing into a worker's queue.
OTHER_SCHEDULES = {
    'sync/locks/condition.cpp': 'waiter::schedule and queued_call::schedule',
    'sync/locks/once.cpp': 'the same',
}
FORKS = re.compile(r'(?:\.|->)\s*(push_fork)\s*\(')

SYSTEM_CALLS = ('io/sys/sys.hpp', 'runtime/base/sys.hpp')

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


def check_queues(source, report):
    if SCHEDULERS.fullmatch(source.path):
        return
    for match in ENQUEUES.finditer(source.code):
        if source.path not in OTHER_SCHEDULES:
            report.add(source.path, source.line_of(match.start()),
                       f'{match.group(1)}() is called here: use runtime/sched/make_ready.hpp')
    if not source.path.startswith('runtime/join/'):
        for match in FORKS.finditer(source.code):
            report.add(source.path, source.line_of(match.start()),
                       'push_fork() is called here: only fork-joins (runtime/join) do')


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
        check_queues(source, report)
        if source.path in SYSTEM_CALLS or source.path in EXEMPT:
            continue
        if source.path.startswith('io/'):
            check_io(source, report)
        else:
            check_runtime(source, report)
    return report


if __name__ == '__main__':
    sys.exit(check(source_tree.root_argument()).finish())

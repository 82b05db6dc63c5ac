#!/usr/bin/env python3
"""Every style test finds what it is there to find. usage: selftest.py COMPILER...

Each case is a small tree with one thing wrong, the test that looks at it, and what that must say,
or None where nothing is wrong. A tree with nothing wrong passes every test.
"""

import pathlib
import sys
import tempfile

import atomics
import gcc12
import header_budget
import layers
import proofs
import seams
import self_contained
import snippets
import source_tree
import tidy

GOOD = {
    'README.md': '''# weft

<!-- snippet: examples/hello.cpp body -->
```cpp
int answer() {
    return 42;
}
```
''',
    'examples/hello.cpp': '''#include <weft/runtime/task/task.hpp>

// [begin:body]
int answer() {
    return 42;
}
// [end:body]
''',
    'runtime/base/atomic.hpp': '''#pragma once

#include <atomic>

namespace weft::detail {

template <class T>
using atomic = std::atomic<T>;

inline constexpr auto release = std::memory_order_release;

}  // namespace weft::detail
''',
    'runtime/task/task.hpp': '''#pragma once

#include <weft/runtime/base/atomic.hpp>

namespace weft {

/// Counts.
///
/// Example: examples/hello.cpp body
class task {
public:
    void end() noexcept;

private:
    detail::atomic<int> ended_ = 0;
};

}  // namespace weft
''',
    'runtime/task/task.cpp': '''#include <weft/runtime/task/task.hpp>

namespace weft {

void task::end() noexcept {
    // release: publish what was done; pairs with join
    ended_.store(1, detail::release);
}

}  // namespace weft
''',
    'weft.hpp': '''#pragma once

#include <weft/runtime/task/task.hpp>
#include <weft/sync/locks/mutex.hpp>
''',
    'io/ring/ring.hpp': '#pragma once\n\n#include <liburing.h>\n',
    'io/ring/ring.cpp': '#include <weft/io/ring/ring.hpp>\n',
    'sync/locks/mutex.hpp': '''#pragma once

/// I1 Whoever holds it is alone.

#include <weft/runtime/task/task.hpp>
''',
    'tests/runtime/task/task_test.cpp': '''#include <weft/runtime/task/task.hpp>

#include <doctest/doctest.h>

TEST_CASE("a task that has ended says so") {}
''',
    'tests/PROOFS.md': '''# Proofs

## sync/locks

| file | invariant | proof |
|---|---|---|
| mutex.hpp | I1 whoever holds it is alone | `model/mutex: two_lockers` |
''',
    'tests/model/mutex_model.cpp': 'bool good() { return explore("two_lockers", &two_lockers); }\n',
    'tests/model/rechecks.py': '''CHANGES = (('a waiter', 'sync/locks/mutex.hpp', '#pragma once'),)
FAULTS = (('it stays locked', 'sync/locks/mutex.hpp', '#include'),)
''',
}

STORE = '''    // release: publish what was done; pairs with join
    ended_.store(1, detail::release);
'''
HEADER = '#pragma once\n'
PLAIN = '#include <weft/runtime/task/task.hpp>\n\n'
LONG_BODY = 'int f() {\n' + '    g();\n' * 70 + '}\n'


def changed(path, old, new):
    assert old in GOOD[path], f'{old!r} is not in {path}'
    return {path: GOOD[path].replace(old, new)}


def in_task(new):
    return changed('runtime/task/task.cpp', STORE, new)


def in_proofs(old, new, more=''):
    path = 'tests/PROOFS.md'
    return {path: changed(path, old, new)[path] + more}


def include_in(path, name):
    return {path: HEADER + f'\n#include <{name}>\n'}


def coroutine(body, before=''):
    return {'examples/x.cpp': f'{before}weft::task<> x() {{\n    {body}\n}}\n'}


CASES = {
    layers: [
        ('the base includes a higher layer',
         include_in('runtime/base/config.hpp', 'weft/runtime/task/task.hpp'),
         'runtime/base/config.hpp:3: runtime/base lies below runtime'),
        ('io includes sync', include_in('io/net/tcp.hpp', 'weft/sync/locks/mutex.hpp'),
         'never include each other'),
        ('a file that does not exist', include_in('io/net/tcp.hpp', 'weft/io/none.hpp'),
         'does not exist'),
        ('quotes', {'io/net/tcp.hpp': HEADER + '#include "op.hpp"\n'}, 'not "op.hpp"'),
        ('a file outside the rooms', include_in('runtime/x.hpp', 'cstddef'),
         'runtime/x.hpp:1: lies in no room'),
        ('a private header in the umbrella',
         {**include_in('runtime/join/detail/x.hpp', 'cstddef'),
          'weft.hpp': HEADER + '#include <weft/runtime/join/detail/x.hpp>\n'},
         'weft.hpp includes public headers only'),
        ('rooms side by side',
         {**include_in('runtime/scope/x.hpp', 'cstddef'),
          **include_in('runtime/join/x.hpp', 'weft/runtime/scope/x.hpp')},
         'runtime/join and runtime/scope never include each other'),
        ('a cycle', {**include_in('sync/a.hpp', 'weft/sync/b.hpp'),
                     **include_in('sync/b.hpp', 'weft/sync/a.hpp')}, 'include cycle: sync/a.hpp'),
        ('liburing in a public header', include_in('io/net/tcp.hpp', 'liburing.h'),
         '<liburing.h> is for'),
        ('liburing outside io', {'runtime/task/x.cpp': '#include <liburing.h>\n'},
         '<liburing.h> is for'),
        ('a heavy header', include_in('sync/locks/latch.hpp', 'functional'),
         'no <functional> in a header'),
        ('a system header in a header', include_in('runtime/core/x.hpp', 'poll.h'),
         'system header <poll.h>'),
        ('a thread in the core', {'runtime/core/x.cpp': '#include <thread>\n'}, 'no <thread>'),
        ('the own header is not first',
         {'runtime/task/task.cpp': '#include <atomic>\n#include <weft/runtime/task/task.hpp>\n'},
         'runtime/task/task.cpp:1: the first include is <weft/runtime/task/task.hpp>'),
        ('the subject of a test is not first',
         {'tests/runtime/task/task_test.cpp': '#include <doctest/doctest.h>\n'},
         'the first include is <weft/runtime/task/task.hpp>'),
        ('a header that the umbrella forgets', include_in('sync/locks/event.hpp', 'cstddef'),
         'sync/locks/event.hpp:1: public, but <weft/weft.hpp> does not include it'),
        ('an example looks inside',
         {**include_in('runtime/core/x.hpp', 'cstddef'),
          'examples/hello.cpp': '#include <weft/runtime/core/x.hpp>\n'}, 'public headers only'),
    ],
    seams: [
        ('a queue, past the seam', {'sync/x.cpp': 'void f() { context->sched->schedule(p); }\n'},
         'sync/x.cpp:1: schedule() is called here'),
        ("a worker's queue, past the seam", {'io/x.cpp': 'void f() { here.push_ready(p); }\n'},
         'io/x.cpp:1: push_ready() is called here'),
        ('the seam', {'runtime/sched/make_ready.hpp': 'void f() { here.push_ready(p); }\n'}, None),
        ('a fork outside a join', {'sync/x.cpp': 'void f() { here.push_fork(p); }\n'},
         'sync/x.cpp:1: push_fork() is called here'),
        ('a fork', {'runtime/join/x.cpp': 'void f() { here.push_fork(p); }\n'}, None),
        ('a system call of I/O', {'io/net/x.cpp': 'int x = ::socket(1, 2, 3);\n'},
         'io/net/x.cpp:1: socket() is called here'),
        ('a system call through liburing',
         {'io/ring/ring.cpp': 'int x = ::io_uring_setup(1, p);\n'},
         'io/ring/ring.cpp:1: io_uring_setup() is called here'),
        ('an entry of a ring', {'io/net/x.cpp': 'void f() { ::io_uring_prep_close(sqe, fd); }\n'},
         None),
        ('a name of our own',
         {'io/net/x.cpp': 'int x = sys::socket(1, 2, 3) + a::b::socket();\n'},
         None),
        ('errno in I/O', {'io/net/x.cpp': 'int x = -errno;\n'},
         'io/net/x.cpp:1: errno is read here'),
        ('the place for them', {'io/sys/sys.hpp': 'int x = ::socket(1, 2, 3) + errno;\n'}, None),
        ('the clock, in the runtime', {'runtime/x.cpp': 'int x = clock_gettime(1, t);\n'},
         'runtime/x.cpp:1: clock_gettime() is called here'),
        ('a descriptor is closed, in the runtime', {'sync/x.cpp': 'int x = ::close(1);\n'},
         'sync/x.cpp:1: close() is called here'),
        ('something else is closed', {'sync/x.cpp': 'void f() { close(); a.close(); }\n'}, None),
    ],
    atomics: [
        ('no order', in_task('    ended_.store(1);\n'), 'store without a memory order'),
        ('no comment', in_task('    ended_.store(1, detail::release);\n'),
         'store without its comment "// release: <verb>'),
        ('a comment without a verb',
         in_task('    // release: because\n    ended_.store(1, detail::release);\n'),
         'store without its comment'),
        ('a comment without the partner',
         in_task('    // release: publish it\n    ended_.store(1, detail::release);\n'),
         '; pairs with'),
        ('a comment of another order',
         in_task('    // relaxed: own\n    ended_.store(1, detail::release);\n'),
         'store without its comment'),
        ('one order for two',
         in_task('    // release: claim it\n'
                 '    ended_.compare_exchange_strong(old, 1, detail::release);\n'),
         'without both memory orders'),
        ('an operator', in_task('    ++ended_;\n'), 'an operator on the atomic ended_'),
        ('a fence', in_task('    std::atomic_thread_fence(detail::release);\n'),
         'use fence_seq_cst()'),
        ('std::atomic', in_task('    static std::atomic<int> x;\n'),
         'no std::atomic: use detail::atomic'),
        ('volatile', in_task('    volatile int x;\n'), 'no volatile'),
    ],
    tidy: [
        ('a long line', {'io/x.cpp': '// ' + 'x' * 98 + '\n'}, 'io/x.cpp:1: 101 columns'),
        ('a tab', {'io/x.cpp': '\tint a;\n'}, 'io/x.cpp:1: a tab'),
        ('blanks', {'io/x.cpp': 'int a; \n'}, 'blanks at the end'),
        ('no newline', {'io/x.cpp': 'int a;'}, 'does not end in a newline'),
        ('an empty line at the end', {'io/x.cpp': 'int a;\n\n'}, 'an empty line ends the file'),
        ('a long header', {'io/x.hpp': HEADER + '\n' * 399 + 'int a;\n'}, '401 lines, the limit'),
        ('a long source', {'io/x.cpp': 'int a;\n' * 601}, '601 lines, the limit'),
        ('a long example', {'examples/x.cpp': 'int a;\n' * 121}, 'the limit for an example is 120'),
        ('a long function', {'io/x.cpp': LONG_BODY}, 'io/x.cpp:1: a function of 72 lines'),
        ('a long member function', {'io/x.cpp': 'a::a()\n    : b_(1)\n    , c_{2} {\n' +
                                    '    g();\n' * 70 + '}\n'}, 'io/x.cpp:3: a function of 72'),
        ('a long case in a suite',
         {'tests/x.cpp': 'TEST_SUITE("x") {\nTEST_CASE("one holds two") {\n' +
                         '    g();\n' * 70 + '}\n}\n'}, 'tests/x.cpp:2: a function of 72'),
        ('no pragma once', {'io/x.hpp': 'int a;\n'}, 'without #pragma once'),
        ('std::function', {'io/x.cpp': 'std::function<void()> f;\n'}, 'use function_ref'),
        ('assert', {'io/x.cpp': 'void f() { assert(true); }\n'}, 'use WEFT_ASSERT'),
        ('west const', {'io/x.cpp': 'const auto a = 1;\n'}, 'write the const behind the type'),
        ('get_', {'io/x.hpp': HEADER + 'int get_size() const;\n'}, 'without get_'),
        ('sleeping in a test',
         {'tests/x.cpp': 'void f() { sleep_for(x); }\n'}, 'no sleep_for: wait for'),
        ('using namespace in an example', {'examples/x.cpp': 'using namespace weft;\n'},
         'no using namespace weft;'),
        ('open work', {'io/x.cpp': '// TODO: more\n'}, 'open work names its issue'),
        ('a machine path in a script', {'tests/x.py': "path = '/home/me/x'\n"},
         'no path of one machine'),
        ('a machine path in the README', {'README.md': 'See /tmp/notes.\n'},
         'no path of one machine'),
        ('history', {'io/x.cpp': '// previously an int\n'}, 'comments say what is true now'),
        ('a bare NOLINT', {'io/x.cpp': 'int a;  // NOLINT\n'}, 'a NOLINT names its check'),
        ('an empty test name', {'tests/x.cpp': 'TEST_CASE("a basic example holds") {}\n'},
         'without "basic"'),
        ('a test name that is no sentence', {'tests/x.cpp': 'TEST_CASE("push") {}\n'},
         'is a sentence'),
        ('a test name twice', {'tests/x.cpp': 'TEST_CASE("one holds two") {}\n' * 2},
         'tests/x.cpp:2: the case of line 1 has the same name'),
        ('an exception that excuses nothing',
         {'tests/style/allow.txt': 'banned io/ring/ring.cpp std::abort because\n'},
         'allow.txt:1: excuses nothing'),
        ('an exception without a reason',
         {'tests/style/allow.txt': 'banned io/ring/ring.cpp std::abort\n'}, 'not of the form'),
        ('an exception from no rule',
         {'tests/style/allow.txt': 'taste io/ring/ring.cpp x because\n'},
         'no rule is called taste'),
        ('an exception that is not wide enough',
         {'tests/style/allow.txt': 'function-length io/x.cpp 71 because\n', 'io/x.cpp': LONG_BODY},
         'a function of 72 lines, the limit is 71'),
        ('an exception that is wide enough',
         {'tests/style/allow.txt': 'function-length io/x.cpp 72 because\n', 'io/x.cpp': LONG_BODY},
         None),
    ],
    snippets: [
        ('other code', changed('README.md', '42', '43'),
         "README.md:6: differs from examples/hello.cpp"),
        ('code from nowhere', {'README.md': '```cpp\nint a;\n```\n'}, 'code that no test checks'),
        ('a cut that does not exist', changed('README.md', ' body', ' head'), 'no [begin:head]'),
        ('an example that does not exist', changed('README.md', 'hello', 'bye'), 'does not exist'),
        ('a whole file',
         {'README.md': '<!-- snippet: examples/x.cpp -->\n```cpp\nint a;\n```\n',
          'examples/x.cpp': '// [begin:all]\nint a;\n// [end:all]\n'}, None),
        ('a reference without code',
         {'README.md': '<!-- snippet: examples/hello.cpp -->\n'}, 'no block of C++ follows'),
        ('an unfinished cut', changed('examples/hello.cpp', '// [end:body]\n', ''),
         '[begin:body] without [end:body]'),
        ('a cut without begin', changed('examples/hello.cpp', '// [begin:body]\n', ''),
         '[end:body] without [begin:body]'),
        ('a header names a lost example', changed('runtime/task/task.hpp', 'hello', 'bye'),
         'runtime/task/task.hpp:9: examples/bye.cpp does not exist'),
        ('a header shows other code',
         changed('runtime/task/task.hpp', ' body\n', ' body\n/// ```cpp\n/// int x;\n/// ```\n'),
         'runtime/task/task.hpp:11: differs'),
    ],
    proofs: [
        ('an invariant without a row', changed('sync/locks/mutex.hpp', '/// I1', '/// I2'),
         'sync/locks/mutex.hpp:3: I2 has no row'),
        ('an invariant of a source without a row',
         {'io/ring/ring.cpp': '// I1 One ring.\n// I2 One owner.\n'},
         'io/ring/ring.cpp:2: I2 has no row'),
        ('what a stop may do, without a row', {'io/ring/ring.cpp': '// S1 It is told once.\n'},
         'S1 has no row'),
        ('a number twice',
         changed('sync/locks/mutex.hpp', '/// I1', '/// I1 One.\n/// I1'),
         'sync/locks/mutex.hpp:4: I1 is what line 3 says already'),
        ('a row of no invariant', in_proofs('I1', 'I2'), 'sync/locks/mutex.hpp lists no I2'),
        ('a row of no file', in_proofs('| mutex', '| lock'), 'sync/locks/lock.hpp does not exist'),
        ('a row in the wrong folder', in_proofs('## sync/locks', '## sync'),
         'sync/mutex.hpp does not exist'),
        ('a row twice', in_proofs('', '', '| mutex.hpp | I1 alone | `recheck: a waiter` |\n'),
         'tests/PROOFS.md:8: I1 of sync/locks/mutex.hpp stands in line 7 already'),
        ('a row of another form', in_proofs('', '', '| mutex.hpp | alone | none |\n'),
         'tests/PROOFS.md:8: not of the form'),
        ('a row without a proof', in_proofs('`model/mutex: two_lockers`', 'obvious'),
         'tests/PROOFS.md:7: a row without a proof'),
        ('a proof of another form', in_proofs('model/mutex: two_lockers', 'two_lockers'),
         '"two_lockers" is no proof'),
        ('no such model', in_proofs('model/mutex', 'model/lock'),
         'tests/model/lock_model.cpp does not exist'),
        ('no such exploration', in_proofs('two_lockers', 'three'),
         'tests/model/mutex_model.cpp has no exploration "three"'),
        ('no such recheck', in_proofs('model/mutex: two_lockers', 'recheck: a signal'),
         'rechecks.py has no "a signal"'),
        ('rechecks', in_proofs('`model/mutex: two_lockers`',
                               '`recheck: a waiter`, `recheck: it stays locked`'), None),
        ('a recheck of what has changed',
         changed('tests/model/rechecks.py', '#include', '#import'),
         '"it stays locked" changes text that is not in sync/locks/mutex.hpp'),
        ('no such test', in_proofs('model/mutex: two_lockers', 'sync/mutex_test.cpp: it locks'),
         'tests/sync/mutex_test.cpp does not exist'),
        ('no such case',
         in_proofs('model/mutex: two_lockers', 'runtime/task/task_test.cpp: a task that has ended'),
         'has no case "a task that has ended"'),
        ('a case in two lines',
         {**in_proofs('model/mutex: two_lockers', 'x_test.cpp: a, b or "c"'),
          'tests/x_test.cpp': 'TEST_CASE_TEMPLATE(\n    "a, b "\n    "or \\"c\\"", T, int) {}\n'},
         None),
        ('nothing', in_proofs('model/mutex: two_lockers', 'nothing'),
         'tests/PROOFS.md:7: nothing proves I1 of sync/locks/mutex.hpp'),
        ('nothing, which is said',
         {**in_proofs('model/mutex: two_lockers', 'nothing'),
          'tests/style/allow.txt': 'proofs sync/locks/mutex.hpp I1 because\n'}, None),
        ('something, where nothing is said to be',
         {'tests/style/allow.txt': 'proofs sync/locks/mutex.hpp I1 because\n'},
         'allow.txt:1: excuses nothing'),
    ],
    gcc12: [
        ('a condition that awaits', coroutine('if (co_await f()) { g(); }'),
         'examples/x.cpp:2: G1'),
        ('a loop that awaits', coroutine('h();\n    while (!co_await f()) { g(); }'),
         'examples/x.cpp:3: G1'),
        ('a for that awaits', coroutine('for (; co_await f();) { g(); }'), 'G1'),
        ('a do that awaits', coroutine('do { g(); } while (co_await f());'), 'G1'),
        ('a switch that awaits', coroutine('switch (co_await f()) { default: g(); }'), 'G1'),
        ('a condition that awaits in a lambda',
         coroutine('int n = 0;\n    auto l = [&]() -> task<> { if (co_await f()) { g(); } };'),
         'examples/x.cpp:3: G1'),
        ('a local in an inner scope only',
         coroutine('{ int n = 0; g(n); }\n    if (co_await f()) { g(); }'), 'G1'),
        ('a condition that awaits beside a local',
         coroutine('int const n = 0;\n    if (co_await f()) { g(n); }'), None),
        ('a condition that declares', coroutine('while (auto v = co_await f()) { g(v); }'), None),
        ('a condition behind an init statement',
         coroutine('if (int n = 0; co_await f()) { g(n); }'), None),
        ('a condition behind an await', coroutine('co_await f();\n    if (true) { g(); }'), None),
        ('a capture by value', coroutine('co_await run([s] { g(s); });'), 'examples/x.cpp:2: G2'),
        ('a capture with a value', coroutine('co_await run([&, s = std::move(t)] { g(s); });'),
         'G2'),
        ('a lambda that is called and awaited',
         coroutine('int n = co_await [=]() -> task<int> { co_return 1; }();'), 'G2'),
        ('a capture by value in co_return', coroutine('co_return co_await run([s] { g(s); });'),
         'G2'),
        ('captures by reference', coroutine('co_await run([&, this, &s] { g(s[0]); });'), None),
        ('a named lambda',
         coroutine('auto l = [s] { g(s); };\n    co_await run(std::move(l));'), None),
        ('a capture by value of a lambda that awaits',
         coroutine('auto l = [s]() -> task<> { co_await f(s); };'), None),
        ('a temporary aggregate', coroutine('co_await tx.send(job{name, 1});'),
         'examples/x.cpp:2: G3'),
        ('names of members', coroutine('co_await run({.name = s, .count = 1});'), 'G3'),
        ('a limit by its name', coroutine('co_await run(s, {.limit = 2 * n});'), None),
        ('a number beside another member',
         coroutine('co_await run({.limit = 1, .name = s});'), 'G3'),
        ('empty braces', coroutine('auto n = co_await run(s, {});'), 'G3'),
        ('a temporary aggregate in parentheses',
         coroutine('co_await tx.send(job(name, 1));', 'struct job { string name; int n; };\n'),
         'examples/x.cpp:3: G3'),
        ('a type with a constructor',
         coroutine('co_await tx.send(job(name, 1));', 'struct job { job(string, int); };\n'), None),
        ('a named aggregate',
         coroutine('job next{name, 1};\n    co_await tx.send(std::move(next));'), None),
        ('a number in braces', coroutine('co_await f(std::size_t{64});'), None),
        ('the library', {'runtime/task/x.cpp': 'task<> f() {\n    co_await g({});\n}\n'},
         'runtime/task/x.cpp:2: G3'),
        ('the README', {'README.md': '```cpp\nco_await tx.send(job{name, 1});\n```\n'},
         'README.md:2: G3'),
        ('code in a comment',
         {'runtime/task/x.hpp':
          HEADER + '/// Sends.\n///\n///     co_await tx.send(job{name, 1});\n'},
         'runtime/task/x.hpp:4: G3'),
    ],
    header_budget: [
        ('a heavy header', include_in('runtime/stop/x.hpp', 'chrono'), 'the limit is 24500'),
        ('a header that cannot be read', include_in('runtime/task/x.hpp', 'weft/none.hpp'),
         'cannot be preprocessed'),
    ],
    self_contained: [
        ('a missing include', {'runtime/task/x.hpp': HEADER + 'std::size_t f();\n'},
         'does not compile on its own'),
        ('a missing include in what is included first',
         {'runtime/task/x.hpp': HEADER + '\n#include <weft/runtime/task/y.hpp>\n',
          'runtime/task/y.hpp': HEADER + 'std::size_t f();\n'}, 'does not compile on its own'),
        ('a missing include in what is included second',
         {'runtime/task/x.hpp':
          HEADER + '\n#include <cstddef>\n#include <weft/runtime/task/y.hpp>\n',
          'runtime/task/y.hpp': HEADER + 'std::size_t f();\n'},
         'runtime/task/y.hpp:1: does not compile on its own'),
        ('no guard', {'runtime/task/x.hpp': 'struct x {};\n'},
         'runtime/task/x.hpp:1: does not begin with #pragma once'),
    ],
}
NEEDS_COMPILER = (header_budget, self_contained)


def lines_of(module, files, compiler):
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch).resolve()
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding='utf-8')
        more = [compiler] if module in NEEDS_COMPILER else []
        return module.check(root, *more).lines


def without_liburing(module, files):
    """The compiler need not find a system header to try the tests that run it."""
    if module not in NEEDS_COMPILER:
        return files
    return {path: text for path, text in files.items() if not path.startswith('io/')}


def main(compiler):
    report = source_tree.Report()
    for module, cases in CASES.items():
        good = without_liburing(module, GOOD)
        for line in lines_of(module, good, compiler):
            report.add(f'{module.__name__}.py', 1, f'finds fault with a good tree: {line}')
        for name, files, wanted in cases:
            found = lines_of(module, {**good, **files}, compiler)
            if wanted is None and found:
                report.add(f'{module.__name__}.py', 1, f'{name}: finds fault: {found}')
            elif wanted is not None and not any(wanted in line for line in found):
                report.add(f'{module.__name__}.py', 1,
                           f'{name}: nothing says "{wanted}"; found: {found}')
    print(sum(len(cases) for cases in CASES.values()), 'trees judged')
    return report.finish()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:] or ['c++']))

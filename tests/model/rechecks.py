#!/usr/bin/env python3
"""Drops checks that the protocols make a second time, one at a time; a model has to notice each.

usage: rechecks.py ROOT COMPILER...

Each change is made in a copy of the sources, which is compiled with the model that should fail.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CHECKER = ('choices', 'fiber', 'machine', 'memory', 'mutation', 'stepper', 'watch', 'pthread')
REPLACED = ('assert.cpp', 'asymmetric_fence.cpp', 'frame_pool.cpp')
FLAGS = ('-std=c++20', '-O1', '-DWEFT_ASSERTS=0', '-I.',
         '-include', 'weft/tests/model/atomic.hpp')

# What is dropped, file, text, what stands there instead, model.
CHANGES = (
    ('the thief that wins the last item', 'runtime/core/work_deque.hpp',
     't == b && top_.compare_exchange_strong(t, t + 1, seq_cst, relaxed)', 't == b',
     'work_deque'),
    ('room in the ring', 'runtime/core/ready_queue.hpp',
     't - head_.load(acquire) == Capacity', 'false && head_.load(acquire) == t', 'ready_queue'),
    ('a stop before the registration', 'runtime/core/stop_token.cpp',
     'if ((word_.load(relaxed) & requested_bit) != 0) {\n        return false;',
     'if (false) {\n        return false;', 'stop_token'),
    ('a callback that runs during its deregistration', 'runtime/core/stop_token.cpp',
     'while (firing_ != nullptr &&', 'while (false && firing_ != nullptr &&', 'stop_token'),
    ('a parent that stopped before the link', 'runtime/core/stop_token.cpp',
     'if (!added) {', 'if (false) {', 'stop_token'),
    ('work that appears before the sleep', 'runtime/worker.cpp',
     'if (work || !scheduler_->injected_.looks_empty()) {', 'if (false) {', 'park'),
    ('stealable work that appears before the sleep', 'runtime/worker.cpp',
     'if (work || !scheduler_->injected_.looks_empty()) {',
     'if (!scheduler_->injected_.looks_empty()) {', 'park'),
    ('injected work that appears before the sleep', 'runtime/worker.cpp',
     'if (work || !scheduler_->injected_.looks_empty()) {', 'if (work) {', 'park'),
    ('a wake-up before the block', 'runtime/worker.cpp',
     'if (parker_.compare_exchange_strong(expected, parker_state::parked, acq_rel, acquire)) {',
     'if (parker_.compare_exchange_strong(expected, parker_state::parked, acq_rel, acquire) ||\n'
     '        true) {', 'park'),
    ('a posted request that still travels', 'runtime/pinned_operation.cpp',
     'if (!posted_ || arrived_) [[likely]] {', 'if (true) {', 'runtime'),
)


def sources(tree, model):
    yield f'weft/tests/model/{model}_model.cpp'
    yield 'weft/tests/model/heap_frames.cpp'
    yield 'weft/tests/support/main.cpp'
    for name in CHECKER:
        yield f'weft/tests/model/{name}.cpp'
    if model in ('park', 'runtime', 'stop_token'):
        for path in sorted((tree / 'weft/runtime').rglob('*.cpp')):
            if path.name not in REPLACED and (model != 'stop_token' or path.stem == model):
                yield str(path.relative_to(tree))


def outcome(tree, compiler, model):
    """'dies', as it should, 'survives' or 'does not compile'."""
    program = tree / 'program'
    command = [*compiler, *FLAGS, *sources(tree, model), '-o', program, '-ldl', '-lpthread']
    if subprocess.run(command, cwd=tree, check=False).returncode != 0:
        return 'does not compile'
    try:
        ended = subprocess.run([program], timeout=300, env=os.environ | {'WEFT_MODEL_QUIET': '1'},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        return 'dies'
    return 'survives' if ended.returncode == 0 else 'dies'


def main():
    root, compiler = pathlib.Path(sys.argv[1]), sys.argv[2:]
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        for name in ('runtime', 'tests/model', 'tests/support'):
            shutil.copytree(root / name, tree / 'weft' / name)
        for what, path, text, instead, model in CHANGES:
            target = tree / 'weft' / path
            original = target.read_text()
            if original.count(text) != 1:
                result = 'is not there'
            else:
                target.write_text(original.replace(text, instead))
                result = outcome(tree, compiler, model)
                target.write_text(original)
            failures += result != 'dies'
            print(f'{result:8} without looking for {what} ({path}, model {model})', flush=True)
    print(f'{len(CHANGES) - failures} of {len(CHANGES)} die')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())

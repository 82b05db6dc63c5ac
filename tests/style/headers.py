"""What the tests of headers share: naming them, and running the compiler over each of them."""

import concurrent.futures
import os
import pathlib
import subprocess
import tempfile

import source_tree


def headers(root):
    return source_tree.find(root, source_tree.LIBRARY, ('.hpp',))


def for_each(root, paths, compiler, arguments, text_of, judge):
    """Compiles text_of(path) for every path; gives the Report that judge(report, path, result)
    filled."""
    report = source_tree.Report()
    with tempfile.TemporaryDirectory() as scratch:
        (pathlib.Path(scratch) / 'weft').symlink_to(root)

        def compile_one(path):
            return subprocess.run(
                [*compiler, '-std=c++20', *arguments, '-I', scratch, '-x', 'c++', '-'],
                input=text_of(path), capture_output=True, text=True)

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for path, result in zip(paths, pool.map(compile_one, paths)):
                judge(report, path, result)
    return report

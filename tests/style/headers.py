"""What the tests of headers share: naming them, and running the compiler over each of them."""

import concurrent.futures
import os
import pathlib
import subprocess
import tempfile

import source_tree


def headers(root):
    return [path for path in source_tree.find(root, source_tree.LIBRARY, ('.hpp',))]


def for_each(root, compiler, arguments, text_of, judge):
    """Compiles text_of(header) for every header and returns the Report that judge(report, header, result) filled."""
    report = source_tree.Report()
    with tempfile.TemporaryDirectory() as scratch:
        (pathlib.Path(scratch) / 'weft').symlink_to(root)

        def compile_one(header):
            return subprocess.run(
                [*compiler, '-std=c++20', *arguments, '-I', scratch, '-x', 'c++', '-'],
                input=text_of(header), capture_output=True, text=True)

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            paths = headers(root)
            for header, result in zip(paths, pool.map(compile_one, paths)):
                judge(report, header, result)
    return report

#!/usr/bin/env python3
"""Code shown in Markdown files and headers is cut from the examples.
usage: snippets.py [ROOT] [--fix]

In a Markdown file, every fenced block of C++ follows the line that says where it is cut:

    <!-- snippet: examples/echo_server.cpp session -->   [begin:session] to [end:session]
    <!-- snippet: examples/echo_server.cpp -->           the whole file

In a header, `/// Example: examples/echo_server.cpp session` names a program and perhaps a cut; a
fenced block in the comment right below is compared like those of Markdown. With --fix, the Markdown
files are brought up to date.
"""

import re
import sys
import textwrap

import source_tree

MARKER = re.compile(r'^[ \t]*// \[(begin|end):([\w-]+)\][ \t]*$')
FENCE = re.compile(r'^```(?:cpp|c\+\+)\s*$')
REFERENCE = re.compile(r'^<!-- snippet: (\S+)(?: ([\w-]+))? -->$')
EXAMPLE = re.compile(r'^\s*/// Example: (.*)$')
EXAMPLE_FILE = re.compile(r'(examples/[\w.-]+\.cpp)(?: ([\w-]+))?')


class Cuts:
    """What can be shown of each example: name -> text, and the whole file under no name."""

    def __init__(self, root, report):
        self._files = {source.path: self._cuts_of(source, report)
                       for source in source_tree.sources(root, ('examples',), ('.cpp',))}

    @staticmethod
    def _cuts_of(source, report):
        cuts, opened, whole = {}, {}, []
        for number, line in enumerate(source.text.split('\n'), 1):
            marker = MARKER.match(line)
            if not marker:
                whole.append(line)
                for lines in opened.values():
                    lines.append(line)
                continue
            kind, name = marker.groups()
            if kind == 'begin' and (name in opened or name in cuts):
                report.add(source.path, number, f'[begin:{name}] occurs twice')
            elif kind == 'begin':
                opened[name] = []
            elif name not in opened:
                report.add(source.path, number, f'[end:{name}] without [begin:{name}]')
            else:
                cuts[name] = textwrap.dedent('\n'.join(opened.pop(name))).strip('\n')
        for name in opened:
            report.add(source.path, 1, f'[begin:{name}] without [end:{name}]')
        cuts[None] = '\n'.join(whole).strip('\n')
        return cuts

    def find(self, path, name):
        """(text, None), or (None, why there is none)."""
        if path not in self._files:
            return None, f'{path} does not exist'
        if name not in self._files[path]:
            return None, f'{path} has no [begin:{name}]'
        return self._files[path][name], None


def first_difference(shown, cut):
    for offset, (ours, theirs) in enumerate(zip(shown + [None], cut + [None])):
        if ours != theirs:
            return offset, ours, theirs
    return len(cut), None, None


def compare(source, line, shown, path, name, cuts, report):
    cut, problem = cuts.find(path, name)
    if problem:
        report.add(source.path, line, problem)
    elif '\n'.join(shown) != cut:
        offset, ours, theirs = first_difference(shown, cut.split('\n'))
        report.add(source.path, line + offset,
                   f'differs from {path}: here {ours!r}, there {theirs!r}; '
                   'run tests/style/snippets.py --fix')


def block_below(lines, fence):
    """The lines between the fence and its end, and the index of the end."""
    end = fence + 1
    while end < len(lines) and lines[end].rstrip() != '```':
        end += 1
    return lines[fence + 1:end], end


def check_markdown(source, cuts, report):
    lines, index = source.text.split('\n'), 0
    while index < len(lines):
        reference = REFERENCE.match(lines[index])
        if reference and not (index + 1 < len(lines) and FENCE.match(lines[index + 1])):
            report.add(source.path, index + 1, 'no block of C++ follows in the next line')
        elif FENCE.match(lines[index]):
            above = REFERENCE.match(lines[index - 1]) if index > 0 else None
            shown, end = block_below(lines, index)
            if above:
                compare(source, index + 2, shown, above[1], above[2], cuts, report)
            else:
                report.add(source.path, index + 1,
                           'code that no test checks: cut it from an example, under a line '
                           '<!-- snippet: examples/FILE.cpp NAME -->')
            index = end
        index += 1


def check_header(source, cuts, report):
    lines = source.text.split('\n')
    for index, line in enumerate(lines):
        example = EXAMPLE.match(line)
        if not example:
            continue
        named = EXAMPLE_FILE.findall(example[1])
        if not named:
            report.add(source.path, index + 1, 'an Example names its program: examples/FILE.cpp')
        for path, name in named:
            problem = cuts.find(path, name or None)[1]
            if problem:
                report.add(source.path, index + 1, problem)
        comment = []
        for below in lines[index + 1:]:
            if not below.lstrip().startswith('///'):
                break
            comment.append(re.sub(r'^\s*/// ?', '', below).rstrip())
        if named and comment and FENCE.match(comment[0]):
            shown = block_below(comment, 0)[0]
            compare(source, index + 3, shown, named[0][0], named[0][1] or None, cuts, report)


def markdown(root):
    paths = set(source_tree.find(root, source_tree.FOLDERS, ('.md',)))
    paths.update(path.name for path in root.glob('*.md'))
    return [source_tree.Source(root, path) for path in sorted(paths)]


def fix(root, cuts):
    """Writes the cuts into the Markdown files."""
    for source in markdown(root):
        lines, made, index = source.text.split('\n'), [], 0
        while index < len(lines):
            made.append(lines[index])
            reference = REFERENCE.match(lines[index])
            if reference and index + 1 < len(lines) and FENCE.match(lines[index + 1]):
                cut = cuts.find(reference[1], reference[2])[0]
                if cut is not None:
                    made += [lines[index + 1], *cut.split('\n')]
                    index = block_below(lines, index + 1)[1] - 1
            index += 1
        if made != lines:
            (root / source.path).write_text('\n'.join(made), encoding='utf-8')


def check(root):
    report = source_tree.Report()
    cuts = Cuts(root, report)
    for source in markdown(root):
        check_markdown(source, cuts, report)
    for source in source_tree.sources(root, source_tree.LIBRARY, ('.hpp',)):
        check_header(source, cuts, report)
    return report


if __name__ == '__main__':
    wants_fix = '--fix' in sys.argv
    sys.argv = [word for word in sys.argv if word != '--fix']
    if wants_fix:
        fix(source_tree.root_argument(), Cuts(source_tree.root_argument(), source_tree.Report()))
    sys.exit(check(source_tree.root_argument()).finish())

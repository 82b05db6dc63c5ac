#!/usr/bin/env python3
"""Runs an example and checks what it prints.

usage: run_example.py output PROGRAM EXPECTED     PROGRAM prints just what the file EXPECTED holds
       run_example.py self-test PROGRAM EXPECTED the same of PROGRAM --self-test
       run_example.py echo SERVER CLIENT          CLIENT gets back what it sends; a refused
                                                  connection and a wrong address are named
       run_example.py abuse SERVER ANSWER         clients reset, leave, talk nonsense, never read;
                                                  SERVER still answers 'hello' with the line
                                                  ANSWER
Exits with 77 where the example needs io_uring and the machine refuses it.
"""

import os
import pathlib
import socket
import struct
import subprocess
import sys

SKIPPED = 77


def fail(message):
    print(message)
    sys.exit(1)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def check_output(program, expected, *arguments):
    done = run(program, *arguments)
    wanted = pathlib.Path(expected).read_text(encoding='utf-8')
    if done.returncode != 0 or done.stdout != wanted:
        fail(f'exit {done.returncode}, printed:\n{done.stdout}{done.stderr}expected:\n{wanted}')


def check_self_test(program, expected):
    check_output(program, expected, '--self-test')


def check_echo(server, client):
    with subprocess.Popen([server, '0'], stdout=subprocess.PIPE, text=True) as serving:
        try:
            first = serving.stdout.readline()
            if not first.startswith('listening on '):
                fail(f'the server printed {first!r}')
            port = first.rsplit(':', 1)[1].strip()
            address = f'127.0.0.1:{port}'
            long_text = 'long ' * 10_000
            done = run(client, address, 'hello', 'world', long_text)
            if done.returncode != 0 or done.stdout != f'hello\nworld\n{long_text}\n':
                fail(f'exit {done.returncode}, printed {done.stdout[:200]!r} {done.stderr!r}')
        finally:
            serving.terminate()
    with socket.socket() as silent:
        silent.bind(('127.0.0.1', 0))  # and does not listen
        address = f'127.0.0.1:{silent.getsockname()[1]}'
        refused = run(client, address, 'anybody?')
        if refused.returncode != 1 or f'connect to {address}' not in refused.stderr:
            fail(f'a refused connection was told as {refused.stderr!r}')
    wrong = run(client, 'nowhere', 'anybody?')
    if wrong.returncode != 1 or 'nowhere' not in wrong.stderr:
        fail(f'a wrong address was told as {wrong.stderr!r}')


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    client.close()


def abuse(address, silent):
    """One client of each bad sort. Those that never read are kept in the list `silent`."""
    nonsense = bytes(range(128, 256)) * 1000
    reset(socket.create_connection(address))
    for text in b'greetings\n', nonsense:
        for leave in reset, socket.socket.close:
            client = socket.create_connection(address)
            client.settimeout(0.2)
            try:
                client.sendall(text)
                client.sendall(text)  # an answer to it finds nobody
            except OSError:
                pass
            leave(client)
    silent.append(socket.create_connection(address))
    silent[-1].sendall(b'greet')


def check_abuse(server, answer):
    with subprocess.Popen(
        [server, '0'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as serving:
        try:
            first = serving.stdout.readline()
            if 'io_uring' in first:
                print('this machine refuses io_uring')
                sys.exit(SKIPPED)
            if ' on ' not in first:
                fail(f'the server printed {first!r}')
            address = ('127.0.0.1', int(first.rsplit(':', 1)[1]))
            silent = []
            for _ in range(20):
                abuse(address, silent)
            with socket.create_connection(address, timeout=30) as good:
                good.sendall(b'hello\n')
                heard = b''
                # A server may pass on what the others have said.
                while answer not in heard.decode('latin1').split('\n')[:-1]:
                    more = good.recv(100)
                    if not more:
                        fail(f'the server answers {heard!r} and hangs up')
                    heard += more
            if serving.poll() is not None:
                fail('the server has ended')
        finally:
            serving.terminate()


def uring_is_refused(program, argument):
    """A program that was told to use io_uring names it when it cannot."""
    if os.environ.get('WEFT_DRIVER') != 'uring':
        return False
    probe = run(program, argument)
    return probe.returncode != 0 and 'io_uring' in probe.stderr


def main():
    mode, first, second = sys.argv[1:]
    program = second if mode == 'echo' else first
    argument = '--self-test' if mode == 'self-test' else '127.0.0.1:1'
    if mode != 'abuse' and uring_is_refused(program, argument):
        print('this machine refuses io_uring')
        sys.exit(SKIPPED)
    checks = {
        'output': check_output,
        'self-test': check_self_test,
        'echo': check_echo,
        'abuse': check_abuse,
    }
    checks[mode](first, second)


if __name__ == '__main__':
    main()

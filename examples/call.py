#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The call protocol in a hundred lines: standard library, over `alknet dial`.

    with Peer(['alknet', 'dial', 'home', 'alknet/call']) as peer:
        print(peer.call('node/ping', {}))
        for event in peer.subscribe('events/subscribe', {'topics': ['news.>']}):
            print(event['topic'], event['data'])

A frame is a 4-byte big-endian length and one JSON object {"type", "id", "payload"}
(docs/protocol/call.md). Everything travels on one stream; answers carry the id of
their request and may come in any order.
"""
import json
import struct
import subprocess
import sys

CREDIT = 32  # answers of a subscription that may be on their way


class Failure(Exception):
    def __init__(self, payload):
        super().__init__('%s: %s' % (payload['code'], payload['message']))
        self.code = payload['code']
        self.retryable = payload.get('retryable', False)
        self.details = payload.get('details')


class Peer:
    def __init__(self, argv):
        self.program = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.last = 0
        self.waiting = {}  # frames that came for other requests, by id

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.terminate()  # also with subscriptions still open
        self.program.wait()
        self.program.stdin.close()
        self.program.stdout.close()

    def send(self, kind, ident, payload):
        body = json.dumps({'type': kind, 'id': ident, 'payload': payload}).encode()
        self.program.stdin.write(struct.pack('>I', len(body)) + body)
        self.program.stdin.flush()

    def read(self, n):
        data = self.program.stdout.read(n)
        if len(data) < n:
            raise ConnectionError('the connection has ended')
        return data

    def receive(self, ident):
        """The next frame of a request; others are kept for theirs."""
        while not self.waiting.get(ident):
            frame = json.loads(self.read(struct.unpack('>I', self.read(4))[0]))
            self.waiting.setdefault(frame['id'], []).append(frame)
        return self.waiting[ident].pop(0)

    def start(self, operation, given, **more):
        """Sends a request and returns its id: many may be under way."""
        self.last += 1
        ident = 'py%d' % self.last
        self.send('call.requested', ident,
                  {'operationId': '/' + operation, 'input': given, **more})
        return ident

    def finish(self, ident):
        frame = self.receive(ident)
        self.waiting.pop(ident, None)
        if frame['type'] == 'call.error':
            raise Failure(frame['payload'])
        return frame['payload']['output']

    def call(self, operation, given, **more):
        return self.finish(self.start(operation, given, **more))

    def subscribe(self, operation, given, **more):
        """Yields the answers; closing the generator aborts the request."""
        ident = self.start(operation, given, credit=CREDIT, **more)
        over = False
        try:
            while True:
                frame = self.receive(ident)
                over = frame['type'] != 'call.responded'
                if frame['type'] == 'call.error':
                    raise Failure(frame['payload'])
                if over:
                    return
                self.send('call.credit', ident, {'n': 1})
                yield frame['payload']['output']
        finally:
            if not over:
                self.send('call.aborted', ident, {})
                while self.receive(ident)['type'] == 'call.responded':
                    pass
            self.waiting.pop(ident, None)


if __name__ == '__main__':
    if len(sys.argv) != 4:
        sys.exit('usage: call.py NODE OPERATION JSON')
    try:
        with Peer(['alknet', 'dial', sys.argv[1], 'alknet/call']) as peer:
            print(json.dumps(peer.call(sys.argv[2], json.loads(sys.argv[3])), indent=2))
    except (Failure, OSError, ValueError) as e:
        sys.exit('%s: %s' % (sys.argv[2], e))

// SPDX-License-Identifier: MIT OR Apache-2.0
// git_v2.js FILE.wasm C2S S2C: a clone held by the client of protocol v2 as wasm32, without
// anything else: what it says is what git said, and the pack that it hears is whole.
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const fs = require('fs');

const [file, c2sFile, s2cFile] = process.argv.slice(2);
const said = fs.readFileSync(c2sFile);
const heard = fs.readFileSync(s2cFile);
const wasm = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file))).exports;
const OK = 0, MORE = 1;
const READY = 0, REF = 1, SHALLOW = 5, PACK = 9, END = 12;

// Memory moves when it grows: a view lasts until the next call.
const view = () => new DataView(wasm.memory.buffer);
const bytes = (at, n) => Buffer.from(wasm.memory.buffer, at, n);
const u32 = (at) => view().getUint32(at, true);
const put32 = (at, v) => view().setUint32(at, v, true);
const room = (n) => wasm.alk_zalloc(0, 1, n);

function copied(data) {
    const at = room(data.length + 1);
    bytes(at, data.length).set(data);
    return at;
}
// struct alk_span: a pointer and a length.
function putSpan(at, data) {
    put32(at, copied(data));
    put32(at + 4, data.length);
}
const span = (at) => Buffer.from(bytes(u32(at), u32(at + 4)));
function spans(list) {
    const at = room(8 * list.length + 1);
    list.forEach((data, i) => putSpan(at + 8 * i, data));
    return at;
}

// The client's lines, as git wrote them.
function lines(wire) {
    const out = [];
    for (let at = 0; at < wire.length;) {
        const n = parseInt(wire.toString('latin1', at, at + 4), 16);
        if (n > 4) {
            out.push(wire.toString('latin1', at + 4, at + n).replace(/\n$/, ''));
        }
        at += Math.max(n, 4);
    }
    return out;
}
const asked = lines(said);
const after = (word) => asked.filter((l) => l.startsWith(word)).map(
    (l) => Buffer.from(l.slice(word.length)));
const flag = (word) => (asked.includes(word) ? 1 : 0);

// struct alk_git_v2_options: mem, agent, has_response_end, caps_max, out_max.
const options = room(24);
putSpan(options + 4, Buffer.from(after('agent=')[0]));
const holder = room(4);
assert.strictEqual(wasm.alk_git_v2_new(options, holder), OK);
const client = u32(holder);

function askRefs() {
    const prefixes = after('ref-prefix ');
    const ask = room(12);
    bytes(ask, 3).set([flag('peel'), flag('symrefs'), flag('unborn')]);
    put32(ask + 4, spans(prefixes));
    put32(ask + 8, prefixes.length);
    return wasm.alk_git_v2_ask_refs(client, ask);
}
function askFetch() {
    const wants = after('want ');
    const ask = room(88);
    bytes(ask, 4).set(['thin-pack', 'no-progress', 'include-tag', 'ofs-delta'].map(flag));
    view().setBigUint64(ask + 16, BigInt(after('deepen ')[0].toString()), true);
    put32(ask + 56, spans(wants));
    put32(ask + 68, wants.length);
    bytes(ask + 81, 1).set([flag('done')]);
    return wasm.alk_git_v2_ask_fetch(client, ask);
}

const asks = [askRefs, askFetch];
const event = room(64), input = room(8), used = room(4);
const refs = [], pack = [];
let shallows = 0, ends = 0;

function take() {
    const kind = u32(event);
    if (kind === REF) {
        refs.push(span(event + 4).toString());
    } else if (kind === PACK) {
        pack.push(span(event + 4));
    } else if (kind === SHALLOW) {
        shallows++;
    } else if (kind === END) {
        ends++;
    } else {
        assert.strictEqual(kind, READY);
    }
    if ((kind === READY || kind === END) && asks.length > 0) {
        assert.strictEqual(asks.shift()(), OK);
    }
}

// In pieces of 7 bytes.
for (let at = 0; at < heard.length;) {
    putSpan(input, heard.subarray(at, at + 7));
    assert.strictEqual(wasm.alk_git_v2_feed(client, input, used), OK);
    at += u32(used);
    let err;
    while ((err = wasm.alk_git_v2_next(client, event)) === OK) {
        take();
    }
    assert.strictEqual(err, MORE);
}
assert.strictEqual(wasm.alk_git_v2_eof(client), OK);

const output = room(8);
wasm.alk_git_v2_output(output, client);
assert.ok(span(output).equals(said), 'what is said is what git said');
assert.ok(refs.includes('HEAD') && refs.includes('refs/heads/main'));
assert.strictEqual(shallows, 1);
assert.strictEqual(ends, 2);
const whole = Buffer.concat(pack);
const sum = crypto.createHash('sha1').update(whole.subarray(0, -20)).digest();
assert.ok(whole.subarray(0, 4).toString() === 'PACK' && sum.equals(whole.subarray(-20)));
wasm.alk_git_v2_free(client);
console.log(`${refs.length} refs, a pack of ${whole.length} bytes, in wasm32`);

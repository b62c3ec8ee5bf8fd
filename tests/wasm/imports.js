// SPDX-License-Identifier: MIT OR Apache-2.0
// imports.js FILE.wasm: fails when the module imports anything or is empty.
'use strict';
const fs = require('fs');

const module_ = new WebAssembly.Module(fs.readFileSync(process.argv[2]));
const imports = WebAssembly.Module.imports(module_).map((i) => `${i.module}.${i.name}`);
const exports_ = WebAssembly.Module.exports(module_).filter((e) => e.kind === 'function');
const ours = exports_.filter((e) => e.name.startsWith('alk_'));
console.log(`${ours.length} functions of ours, ${imports.length} imports`);
for (const name of imports) {
    console.error(`imports ${name}`);
}
process.exit(imports.length === 0 && ours.length > 0 ? 0 : 1);

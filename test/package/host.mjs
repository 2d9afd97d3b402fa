// A host of the built package: loads it with n8n-core's own loader in plain Node and runs what the order on standard input says.
// Jest cannot do this in its own process, since it has a module loader of its own.
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';

const require = createRequire(import.meta.url);
// Its file, not the package around it: what n8n-core else is takes as long to load as all the rest.
const { PackageDirectoryLoader } = require('n8n-core/dist/nodes-loader/package-directory-loader.js');

/**
 * @typedef {Record<string, any>} Values
 * @typedef {{ folders: string[], steps: Step[], command?: string | null }} Order
 * @typedef {{ do: 'describe' } | { do: 'loadedModules', matching: string }
 *   | { do: 'requests', type: string, values: Values, count: number, rejected?: boolean, copies?: boolean }
 *   | { do: 'test', type: string, values: Values } | { do: 'stay' } | { do: 'exit' }} Step
 */

/** @type {Order} */
const order = JSON.parse(await text(process.stdin));
if (order.command) process.argv.splice(1, process.argv.length, '/usr/local/bin/n8n', order.command);
/** @type {Values[]} */
const loaders = [];
for (const folder of order.folders) {
  const loader = new PackageDirectoryLoader(folder);
  await loader.loadAll();
  loaders.push(loader);
}
const first = /** @type {Values} */ (loaders[0]);

/** @type {unknown[]} */
const results = [];
for (const step of order.steps) results.push(await run(step));
print();

/** @param {Step} step */
async function run(step) {
  switch (step.do) {
    case 'describe':
      return describe();
    case 'loadedModules':
      return Object.keys(require.cache).filter((file) => file.includes(path.normalize(step.matching)));
    case 'requests':
      return Promise.all(
        Array.from({ length: step.count }, (_, index) =>
          request(step, (step.copies === true && loaders[index % loaders.length]) || first),
        ),
      );
    case 'test':
      return testCredential(step.type, step.values);
    case 'stay':
      print();
      setInterval(() => undefined, 1_000);
      return new Promise(() => undefined);
    case 'exit':
      print();
      return process.exit(0);
  }
}

function print() {
  process.stdout.write(`${JSON.stringify(results)}\n`);
}

function describe() {
  const { credentialTypes, nodeTypes } = first;
  return {
    credentials: all(credentialTypes).map(({ type }) => ({
      ...type,
      authenticate: typeof type.authenticate,
      preAuthentication: typeof type.preAuthentication,
    })),
    nodes: all(nodeTypes).map(({ type }) => ({ ...type.description, methods: methodsOf(type) })),
  };
}

/** @param {Values} node */
function methodsOf({ methods = {} }) {
  return Object.fromEntries(Object.entries(methods).map(([kind, byName]) => [kind, Object.keys(byName)]));
}

/**
 * What n8n does for one request: each has a copy of the stored values of its own.
 * @param {{ type: string, values: Values, rejected?: boolean }} step `rejected`: the API then refuses the request
 * @param {Values} loader
 */
async function request({ type: name, values, rejected = false }, { credentialTypes }) {
  const { type } = credentialTypes[name];
  const decrypted = { ...values };
  try {
    if (decrypted['generationMarker'] === '')
      Object.assign(decrypted, await type.preAuthentication.call({}, decrypted));
    let { headers } = await type.authenticate(decrypted, { url: 'https://api.example.com/' });
    if (rejected) {
      const output = await type.preAuthentication.call({}, decrypted);
      Object.assign(decrypted, output);
      if (output.generationMarker !== undefined)
        ({ headers } = await type.authenticate(decrypted, { url: '', headers }));
    }
    return { headers, marker: decrypted['generationMarker'] };
  } catch (error) {
    const { message, description } = /** @type {Values} */ (error);
    return { error: { message, description } };
  }
}

/**
 * @param {string} name
 * @param {Values} data
 */
async function testCredential(name, data) {
  const { nodeTypes } = first;
  const [{ type: node } = {}] = all(nodeTypes);
  const { testedBy } = node.description.credentials.find((/** @type {Values} */ entry) => entry['name'] === name);
  return node.methods.credentialTest[testedBy].call({ helpers: {} }, { id: '', name: 'Unsaved', type: name, data });
}

/**
 * @param {Record<string, Values>} byName
 * @returns {any[]}
 */
function all(byName) {
  return Object.values(byName);
}

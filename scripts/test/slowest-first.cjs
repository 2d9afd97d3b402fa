'use strict';

const path = require('node:path');
const { default: Sequencer } = require('@jest/test-sequencer');

/** The suites that take longest, of all that `npm test` runs. One that came last would be waited for alone. */
const SLOWEST = [
  'test/engine/failure-scenarios/backlog.test.ts',
  'test/cli/serve.test.ts',
  'test/storage/processes.test.ts',
  'test/engine/failure-scenarios/budgets.test.ts',
  'test/engine/rotation/rotation-crash.test.ts',
  'test/engine/rotation-processes.test.ts',
  'test/package/authentication.test.ts',
  'test/chaos/vault.test.ts',
  'test/chaos/refresh.test.ts',
  'test/engine/failure-scenarios/concurrency.test.ts',
  'test/storage/properties.test.ts',
  'test/package/settings.test.ts',
  'test/engine/rotation-kill.test.ts',
  'test/engine/model-paths.test.ts',
  'test/engine/model-rotation.test.ts',
  'test/engine/failure-scenarios/endpoints.test.ts',
];

/** Jest knows from its cache how long a suite took; a clean checkout has none, and its own guess is the size of the file. */
class SlowestFirst extends Sequencer {
  /**
   * @override
   * @param {import('@jest/test-result').Test[]} tests
   */
  async sort(tests) {
    const place = (/** @type {{ path: string }} */ test) => SLOWEST.indexOf(nameOf(test));
    const known = tests.filter((test) => place(test) >= 0).sort((one, other) => place(one) - place(other));
    const others = await super.sort(tests.filter((test) => place(test) < 0));
    return [...known, ...others];
  }
}

/** @param {{ path: string }} test */
function nameOf({ path: file }) {
  return path.relative(path.join(__dirname, '../..'), file).replaceAll('\\', '/');
}

module.exports = SlowestFirst;
module.exports.SLOWEST = SLOWEST;

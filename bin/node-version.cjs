'use strict';

// Plain ES5: this file has to parse on whatever Node a machine happens to have, because it decides whether that Node will do.

/**
 * Turns '24.7', 'v24.7.0' or '>=24.7' into [24, 7, 0].
 * @param {string} text
 * @returns {[number, number, number]}
 */
function parseVersion(text) {
  var match = /(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(String(text));
  if (!match) throw new TypeError('not a version: ' + text);
  return [Number(match[1]), Number(match[2] || 0), Number(match[3] || 0)];
}

/**
 * True when `version` is `minimum` or newer; all three numbers count, so 24.6.9 is older than 24.7.
 * @param {string} version
 * @param {string} minimum
 */
function isAtLeast(version, minimum) {
  var have = parseVersion(version);
  var want = parseVersion(minimum);
  if (have[0] !== want[0]) return have[0] > want[0];
  if (have[1] !== want[1]) return have[1] > want[1];
  return have[2] >= want[2];
}

module.exports = { parseVersion: parseVersion, isAtLeast: isAtLeast };

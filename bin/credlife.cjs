#!/usr/bin/env node
'use strict';

// Plain ES5 up to the require of dist: an old Node must be told so in one line, and better-sqlite3 crashes Node 20 outright,
// so nothing may load before the version is known to do.

var fs = require('fs');
var path = require('path');
var isAtLeast = require('./node-version.cjs').isAtLeast;

var root = path.join(__dirname, '..');
var entry = path.join(root, 'dist', 'src', 'cli', 'main.js');

/**
 * @param {string} code
 * @param {string} message
 */
function refuse(code, message) {
  process.stderr.write('credlife: ' + code + ': ' + message + '\n');
  process.exit(1);
}

function run() {
  var minimum = require('../package.json').engines.node;
  if (!isAtLeast(process.version, minimum)) {
    refuse('ERR_NODE_TOO_OLD', 'Node ' + minimum + ' is needed, this is ' + process.version + '; install a newer Node');
  }
  if (!fs.existsSync(entry)) {
    refuse('ERR_NOT_BUILT', 'dist is missing; run "npm run build" in ' + root);
  }
  require(entry).main(process.argv.slice(2));
}

run();

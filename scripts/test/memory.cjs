'use strict';

const { statfsSync } = require('node:fs');

const MEMORY = '/dev/shm';
const ROOM_BYTES = 2 ** 30;

function hasRoom() {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize >= ROOM_BYTES;
  } catch {
    return false;
  }
}

/**
 * Suites make thousands of small databases, and each write waits for the disk. They kill processes, but none pulls the plug: what
 * memory keeps is enough for them. A folder that somebody names goes first.
 */
module.exports = () => {
  if (process.env['TMPDIR'] === undefined && hasRoom()) process.env['TMPDIR'] = MEMORY;
};

'use strict';

// Ports for the servers that tests, benches and kill loops start.

const { randomInt } = require('node:crypto');
const { createServer } = require('node:net');

/** Below the ports that systems give to outgoing connections: one of those could have it before the server does. */
const LOWEST = 15_000;
const HIGHEST = 32_000;

/** Nobody gets one twice from one process: a server may not listen yet. */
const given = new Set();

/**
 * A port of the loopback interface that nobody listens on now.
 * @returns {Promise<number>}
 */
async function freePort() {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST);
    if (given.has(port) || !(await canListen(port))) continue;
    given.add(port);
    return port;
  }
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function canListen(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

module.exports = { freePort };

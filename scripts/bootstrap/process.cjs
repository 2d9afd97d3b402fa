'use strict';

// How the bootstrap runs other programs: failures in one line, signals exactly once, exit codes unchanged.

const { spawn, spawnSync } = require('child_process');
const fs = require('fs');

const RELAYED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** How long a relayed signal waits for the terminal's own copy of it. */
const SAME_SIGNAL_MS = 300;
const PARENT_CHECK_MS = 250;

/** A step that did not work: its message says what failed and what the person at the keyboard can do about it. */
class StepError extends Error {}

/**
 * @param {string} what
 * @param {string} remedy
 * @returns {never}
 */
function fail(what, remedy) {
  throw new StepError(`${what}; ${remedy}`);
}

/**
 * The last stop of every error: one line for a step that failed, everything for a fault of our own.
 * @param {unknown} error
 */
function report(error) {
  const text = error instanceof StepError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`bootstrap: ${text}\n`);
  process.exitCode = 1;
}

/**
 * Ends this process the way a child ended, so that whoever waits for us sees the same exit code or signal.
 * @param {number | null} code
 * @param {NodeJS.Signals | null} signal
 */
function endLike(code, signal) {
  if (signal === null) process.exit(code === null ? 1 : code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/**
 * Runs one step to its end with our own terminal.
 * @param {string} what what the step does, for the message
 * @param {string} remedy what to do when it fails
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string, env?: NodeJS.ProcessEnv }} options
 */
function runStep(what, remedy, command, args, options) {
  const env = Object.assign({}, process.env, options.env);
  // What a step has to say is a complaint, so it goes to stderr; npm's cheerful summary is all that npm writes to stdout.
  const stdio = ['ignore', command === 'npm' ? 'ignore' : 2, 2];
  const result = spawnSync(command, args, {
    cwd: options.cwd,
    env,
    stdio: /** @type {import('child_process').StdioOptions} */ (stdio),
  });
  if (result.error) fail(`${what} failed: ${command} could not be started (${result.error.message})`, remedy);
  if (result.signal) endLike(null, result.signal);
  if (result.status !== 0) fail(`${what} failed (exit code ${result.status})`, remedy);
}

/**
 * Runs a program in our place: it has our terminal, and we end as it ends.
 *
 * Ctrl-C reaches the whole foreground group from the terminal, `kill` only the one process it names, and a parent cannot tell
 * which it was. So signals go to a child that follows us (`followParent`) as a message, and the child raises the signal unless
 * the terminal has delivered it already. Any other program gets SIGTERM and SIGHUP passed on; SIGINT it has from the terminal.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string, env: NodeJS.ProcessEnv, follows: boolean }} options
 */
function runInOurPlace(command, args, options) {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env,
    stdio: options.follows ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit',
  });
  for (const signal of RELAYED_SIGNALS) {
    process.on(signal, () => {
      if (options.follows) {
        if (child.connected) child.send({ signal });
      } else if (signal !== 'SIGINT') {
        child.kill(/** @type {NodeJS.Signals} */ (signal));
      }
    });
  }
  child.on('error', (error) => {
    report(new StepError(`${command} could not be started (${error.message}); check the name and the path`));
    process.exit();
  });
  child.on('exit', endLike);
}

/**
 * When each signal last reached this process.
 * @returns {Map<string, number>}
 */
function noteSignals() {
  /** @type {Map<string, number>} */
  const receivedAt = new Map();
  for (const signal of RELAYED_SIGNALS) {
    process.on(signal, () => {
      receivedAt.set(signal, Date.now());
      // Listening switched the default off; as long as nobody else listens, ending is still the right answer.
      if (process.listenerCount(signal) === 1) endLike(null, /** @type {NodeJS.Signals} */ (signal));
    });
  }
  return receivedAt;
}

/**
 * The other half of `runInOurPlace`, in the child: raises the signals that the parent got and we did not, and asks us to end
 * (SIGTERM) when the parent is gone without a word, as after `kill -9`.
 */
function followParent() {
  if (!process.connected || !process.channel) return;
  const receivedAt = noteSignals();
  process.on('message', (message) => {
    const signal = /** @type {{ signal?: string }} */ (message).signal;
    if (signal === undefined || !RELAYED_SIGNALS.includes(signal)) return;
    setTimeout(() => {
      const at = receivedAt.get(signal);
      if (at === undefined || Date.now() - at > 2 * SAME_SIGNAL_MS) process.kill(process.pid, signal);
    }, SAME_SIGNAL_MS);
  });
  process.on('disconnect', () => {
    if (receivedAt.size === 0) process.kill(process.pid, 'SIGTERM');
  });
  // Following must not be what keeps us running.
  process.channel.unref();
}

/**
 * What /proc tells about a process: its name and its parent. Null where there is no /proc.
 * @param {number} pid
 */
function lookUpProcess(pid) {
  try {
    const match = /\((.*)\) \S (\d+)/.exec(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
    return match && { name: String(match[1]), parent: Number(match[2]) };
  } catch {
    return null;
  }
}

/** Names the process that is over us and, when that is the shell in which npm runs scripts, npm over the shell. */
function describeStarter() {
  const shell = lookUpProcess(process.ppid);
  const overShell = shell && lookUpProcess(shell.parent);
  return overShell && overShell.name.startsWith('npm') ? `${process.ppid} ${shell.parent}` : String(process.ppid);
}

/**
 * Asks us to end (SIGTERM) when the npm that started us is gone: npm does not pass on the signal that kills it, and without this
 * `npm start` would leave a running engine behind. After Ctrl-C npm may go first; then we are ending already.
 */
function endWithNpm() {
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const starter = describeStarter();
  const receivedAt = noteSignals();
  const timer = setInterval(() => {
    if (describeStarter() === starter) return;
    clearInterval(timer);
    if (receivedAt.size === 0) process.kill(process.pid, 'SIGTERM');
  }, PARENT_CHECK_MS);
  timer.unref();
}

module.exports = { endWithNpm, fail, followParent, report, runInOurPlace, runStep };

import { Secret } from '../secret.ts';
import type { CommandContext, Input } from './context.ts';
import { Interrupted } from './failure.ts';

const CONTROL_C = '\u0003';
const CONTROL_U = '\u0015';
const LINE_ENDS = ['\r', '\n', '\u0004'];
const BACKSPACES = ['\b', '\u007f'];

/**
 * Asks on a terminal, question after question, without echo. Questions go to standard error, so that standard output
 * stays a document.
 *
 * @throws Interrupted at Ctrl-C
 */
export async function promptHidden(context: CommandContext, questions: readonly string[]): Promise<Secret<string>[]> {
  const { input, errors } = context;
  const answers: Secret<string>[] = [];
  const ask = (): void => {
    const question = questions[answers.length];
    if (question !== undefined) errors.write(`${question} (not shown): `);
  };
  input.setRawMode?.(true);
  input.setEncoding('utf8');
  try {
    ask();
    await readLines(input, (line) => {
      answers.push(Secret.of(line));
      errors.write('\n');
      ask();
      return answers.length < questions.length;
    });
    return answers;
  } finally {
    input.setRawMode?.(false);
    input.pause();
  }
}

/** Asks one question on a terminal, with echo. @throws Interrupted when the input ends */
export async function promptLine({ input, errors }: CommandContext, question: string): Promise<string> {
  errors.write(question);
  input.setEncoding('utf8');
  let answer = '';
  try {
    await readLines(input, (line) => {
      answer = line;
      return false;
    });
  } finally {
    input.pause();
  }
  return answer;
}

/** Hands over line after line until `onLine` wants no more. What is pasted at once may hold several lines. */
async function readLines(input: Input, onLine: (line: string) => boolean): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let line = '';
    const stop = (): void => {
      input.off('data', onData);
      input.off('end', onEnd);
    };
    const onEnd = (): void => {
      stop();
      reject(new Interrupted());
    };
    const onData = (chunk: string): void => {
      for (const character of chunk) {
        if (character === CONTROL_C) {
          onEnd();
          return;
        }
        const ends = LINE_ENDS.includes(character);
        if (ends && !onLine(line)) {
          stop();
          resolve();
          return;
        }
        line = ends ? '' : edited(line, character);
      }
    };
    input.on('data', onData);
    input.on('end', onEnd);
    input.resume();
  });
}

function edited(line: string, character: string): string {
  if (character === CONTROL_U) return '';
  if (BACKSPACES.includes(character)) return [...line].slice(0, -1).join('');
  return character < ' ' ? line : line + character;
}

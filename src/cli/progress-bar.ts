import { widthOf, type CommandContext } from './context.ts';

const LONGEST = 40;

/**
 * A bar on standard error while a command works through something: on a terminal only, so that standard output and logs
 * stay what they are. `end` takes it off the screen.
 */
export function progressBar(context: CommandContext, what: string) {
  const { errors, style } = context;
  let drawn = false;
  return {
    show({ done, total }: { readonly done: number; readonly total: number }): void {
      if (errors.isTTY !== true) return;
      const counts = ` ${done}/${total} ${what}`;
      const length = Math.max(0, Math.min(LONGEST, widthOf(errors) - counts.length - 1));
      const full = total === 0 ? length : Math.floor((done / total) * length);
      errors.write(`\r${style('busy', '█'.repeat(full))}${style('quiet', '░'.repeat(length - full))}${counts}`);
      drawn = true;
    },
    end(): void {
      if (drawn) errors.write('\r\u001b[2K');
    },
  };
}

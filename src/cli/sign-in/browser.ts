import { spawn } from 'node:child_process';
import type { CommandContext } from '../context.ts';

/** Opens a URL in the person's browser, when there is one. Nothing depends on whether it worked. */
export function openBrowser({ env, output }: CommandContext, url: string): void {
  const [program, ...args] = browserCommand(process.platform, env);
  if (output.isTTY !== true || program === undefined) return;
  const child = spawn(program, [...args, url], { stdio: 'ignore', detached: true });
  child.on('error', () => undefined);
  child.unref();
}

/** The program that opens URLs; empty where there is no screen. */
export function browserCommand(platform: NodeJS.Platform, env: CommandContext['env']): string[] {
  if (platform === 'darwin') return ['open'];
  if (platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler'];
  return env['DISPLAY'] === undefined && env['WAYLAND_DISPLAY'] === undefined ? [] : ['xdg-open'];
}

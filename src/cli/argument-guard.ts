import { ConfigurationError } from '../errors.ts';

const SECRET_WORD =
  /^--?(.*[-_])?(secret|password|passwd|passphrase|token|refresh-?token|access-?token|access-?key|master-?key|credentials?)$/i;

/**
 * Refuses options that would carry a secret: arguments are seen by every process of the host and kept in the shell's
 * history. The value is neither read nor repeated.
 *
 * @throws ConfigurationError `ERR_CONFIG_SECRET_IN_ARGUMENT`
 */
export function refuseSecretsInArguments(argv: readonly string[]): void {
  for (const argument of argv) {
    if (argument === '--') return;
    const [name = ''] = argument.split('=', 1);
    if (!name.startsWith('-') || !isSecretOption(name)) continue;
    throw new ConfigurationError(
      'ERR_CONFIG_SECRET_IN_ARGUMENT',
      `The option ${name.slice(0, 40)} would carry a secret; arguments are visible to others on this machine.`,
    );
  }
}

function isSecretOption(name: string): boolean {
  const words = name.replace(/([a-z])([A-Z])/g, '$1-$2');
  return SECRET_WORD.test(words);
}

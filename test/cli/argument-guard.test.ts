import { refuseSecretsInArguments } from '../../src/cli/argument-guard.ts';

test.each([
  '--client-secret',
  '--client-secret=hunter2',
  '--clientSecret=hunter2',
  '--secret',
  '--secret=hunter2',
  '-secret',
  '--refresh-token=hunter2',
  '--password=hunter2',
  '--PASSWORD=hunter2',
  '--master-key=hunter2',
  '--passphrase',
  '--access-key=hunter2',
])('refuses %s', (argument) => {
  const run = (): void => {
    refuseSecretsInArguments(['register', '--name', 'x', argument]);
  };
  expect(run).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_SECRET_IN_ARGUMENT' }));
  expect(run).not.toThrow(/hunter2/);
});

test.each([
  '--secret-stdin',
  '--secret-file',
  '--secret-env',
  '--token-endpoint',
  '--client-id',
  '--scopes',
  '--print-material',
  'secret',
])('lets %s through', (argument) => {
  expect(() => {
    refuseSecretsInArguments(['register', argument, 'value']);
  }).not.toThrow();
});

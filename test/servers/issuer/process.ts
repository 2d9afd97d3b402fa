// The issuer in a process of its own, so that what kills its clients does not touch the judge.
// Run by Node as it is: types are stripped, hence the package.json beside it and nothing but erasable syntax in this folder.
import { issuerOptionsSchema } from './contract.ts';
import { IssuerServer } from './server.ts';

const server = await IssuerServer.start(issuerOptionsSchema.parse(JSON.parse(process.argv[2] ?? '{}')));
process.once('SIGTERM', () => {
  server.close();
  process.exit(0);
});
// A judge whose client is gone has nobody left to tell.
process.once('disconnect', () => process.exit(0));
process.send?.({ url: server.url });

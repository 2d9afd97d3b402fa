// The target in a process of its own, so that what kills its clients does not touch it.
// Run by Node as it is: types are stripped, hence the package.json beside it and nothing but erasable syntax in this folder.
import { TargetServer, type TargetOptions } from './server.ts';

const server = await TargetServer.start(JSON.parse(process.argv[2] ?? '{}') as TargetOptions);
process.once('disconnect', () => process.exit(0));
process.send?.({ url: server.url });

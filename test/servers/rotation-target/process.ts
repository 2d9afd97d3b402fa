// Targets in a process of their own, so that what kills their clients does not touch them: one starts for each message.
// Run by Node as it is: types are stripped, hence the package.json beside it and nothing but erasable syntax in this folder.
import { TargetServer, type TargetOptions } from './server.ts';

process.once('disconnect', () => process.exit(0));
process.on('message', (options: TargetOptions) => {
  void TargetServer.start(options).then(({ url }) => process.send?.({ url }));
});

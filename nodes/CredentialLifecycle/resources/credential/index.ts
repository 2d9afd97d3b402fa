import type { Resource } from '../resource.ts';
import { deleteOperation } from './delete.ts';
import { getOperation } from './get.ts';
import { listOperation } from './list.ts';
import { pauseOperation } from './pause.ts';
import { refreshOperation } from './refresh.ts';
import { resumeOperation } from './resume.ts';
import { revokeOperation } from './revoke.ts';
import { rollbackOperation } from './rollback.ts';
import { rotateOperation } from './rotate.ts';
import { testOperation } from './test.ts';
import { updateOperation } from './update.ts';
import { useOperation } from './use.ts';

/** One credential of the engine, or a list of them. */
export const credentialResource: Resource = {
  option: { name: 'Credential', value: 'credential', description: 'One credential of the engine, or a list of them' },
  initial: 'list',
  operations: [
    deleteOperation,
    getOperation,
    listOperation,
    pauseOperation,
    refreshOperation,
    resumeOperation,
    revokeOperation,
    rollbackOperation,
    rotateOperation,
    testOperation,
    updateOperation,
    useOperation,
  ],
};

import { failingReport } from '../../../../src/n8n/reports.ts';
import { filters } from '../filters.ts';
import type { Operation } from '../operation.ts';

/** What is wrong now. Needs the scope list. */
export const failingOperation: Operation = {
  option: {
    name: 'Failing',
    value: 'failing',
    action: 'Report what fails',
    description:
      'One item for each trouble: needs the user, misconfigured, degraded, refresh, test or rotation failing, since when, the code, and what to do. Needs the scope list.',
  },
  properties: [filters],
  run: ({ context, operator, itemIndex }) =>
    failingReport(operator, context.getNodeParameter('filters', itemIndex, {})),
};

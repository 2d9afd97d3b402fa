import { durationFrom, unusedReport } from '../../../../src/n8n/reports.ts';
import { filters } from '../filters.ts';
import type { Operation } from '../operation.ts';
import { durationProperties } from './duration.ts';

/** What nobody has used for long. Needs the scope list. */
export const unusedOperation: Operation = {
  option: {
    name: 'Unused',
    value: 'unused',
    action: 'Report what nobody uses',
    description:
      'One item for each credential that nobody has used for that long, with the last user and instant; what was never used counts from its beginning. Needs the scope list.',
  },
  properties: [...durationProperties('For', 'For how long nobody has used it', 30), filters],
  run: ({ context, operator, itemIndex }) =>
    unusedReport(operator, context.getNodeParameter('filters', itemIndex, {}), {
      forMs: durationFrom(
        context.getNodeParameter('amount', itemIndex, 30),
        context.getNodeParameter('unit', itemIndex, 'days'),
      ),
    }),
};

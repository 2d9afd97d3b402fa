import { durationFrom, expiringReport } from '../../../../src/n8n/reports.ts';
import { filters } from '../filters.ts';
import type { Operation } from '../operation.ts';
import { durationProperties } from './duration.ts';

/** What ends soon and is put off by nobody but a person. Needs the scope list. */
export const expiringOperation: Operation = {
  option: {
    name: 'Expiring Soon',
    value: 'expiring',
    action: 'Report what expires soon',
    description:
      'One item for each token, grant or secret that ends soon and that the engine cannot put off: what, when, and what to do. Needs the scope list.',
  },
  properties: [
    ...durationProperties('Within', 'How soon: what ends until then, or has ended already, is in the report', 7),
    filters,
  ],
  run: ({ context, operator, itemIndex }) =>
    expiringReport(operator, context.getNodeParameter('filters', itemIndex, {}), {
      withinMs: durationFrom(
        context.getNodeParameter('amount', itemIndex, 7),
        context.getNodeParameter('unit', itemIndex, 'days'),
      ),
    }),
};

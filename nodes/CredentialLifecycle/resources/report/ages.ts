import { agesReport } from '../../../../src/n8n/reports.ts';
import { filters } from '../filters.ts';
import type { Operation } from '../operation.ts';

/** How old secrets, grants and credentials are. Needs the scope list. */
export const agesOperation: Operation = {
  option: {
    name: 'Ages',
    value: 'ages',
    action: 'Report how old credentials are',
    description:
      'One item for each credential: how old its secret, its grant and itself are, the oldest first. Needs the scope list.',
  },
  properties: [
    {
      displayName: 'Sort By',
      name: 'sortBy',
      type: 'options',
      options: [
        { name: 'Age of the Credential', value: 'credential', description: 'Since it was registered or entered' },
        { name: 'Age of the Grant', value: 'grant', description: 'Since the token in use was issued' },
        { name: 'Age of the Secret', value: 'secret', description: 'Since the secret was last rotated, or registered' },
      ],
      default: 'secret',
      description: 'Which age comes oldest first',
    },
    filters,
  ],
  run: ({ context, operator, itemIndex }) =>
    agesReport(
      operator,
      context.getNodeParameter('filters', itemIndex, {}),
      context.getNodeParameter('sortBy', itemIndex, 'secret'),
    ),
};

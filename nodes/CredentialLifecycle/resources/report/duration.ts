import type { INodeProperties } from 'n8n-workflow';

/** A span of time: an amount and its unit. */
export function durationProperties(displayName: string, description: string, amount: number): INodeProperties[] {
  return [
    {
      displayName,
      name: 'amount',
      type: 'number',
      typeOptions: { minValue: 0 },
      default: amount,
      description,
    },
    {
      displayName: 'Unit',
      name: 'unit',
      type: 'options',
      options: [
        { name: 'Days', value: 'days' },
        { name: 'Hours', value: 'hours' },
        { name: 'Minutes', value: 'minutes' },
      ],
      default: 'days',
      description: 'What the number before counts',
    },
  ];
}

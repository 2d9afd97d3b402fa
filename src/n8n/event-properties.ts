import type { INodeProperties, INodePropertyOptions } from 'n8n-workflow';
import type { EventType } from '../lifecycle/events.ts';

/** Also events that a later version adds. */
export const ALL_EVENTS = '*';

/** How each event is offered. */
const OFFERED: Readonly<Record<EventType, { readonly name: string; readonly description: string }>> = {
  'credential.authorized': {
    name: 'Credential Authorized',
    description: 'A person signed in, and the new grant was stored',
  },
  'credential.degraded': { name: 'Credential Degraded', description: 'The grant is dead, but the token still lives' },
  'credential.deleted': { name: 'Credential Deleted', description: 'It was ended and forgotten' },
  'credential.expired': {
    name: 'Credential Expired',
    description: 'The token ended and no refresh has succeeded yet',
  },
  'credential.expiringSoon': {
    name: 'Credential Expiring Soon',
    description: 'An end comes near that no refresh can help: of the token, the grant, a password or a key',
  },
  'credential.misconfigured': {
    name: 'Credential Misconfigured',
    description: 'The server refuses client or request: the settings are wrong',
  },
  'credential.needsUser': { name: 'Credential Needs User', description: 'Only a person can bring it back' },
  'credential.paused': { name: 'Credential Paused', description: 'Scheduled work on it rests' },
  'credential.recovered': { name: 'Credential Recovered', description: 'A refresh succeeded after failures' },
  'credential.refreshed': { name: 'Credential Refreshed', description: 'A refresh brought a new grant' },
  'credential.registered': { name: 'Credential Registered', description: 'It was stored' },
  'credential.resumed': { name: 'Credential Resumed', description: 'A pause ended' },
  'credential.revoked': { name: 'Credential Revoked', description: 'It was ended for good' },
  'credential.rotated': { name: 'Credential Rotated', description: 'A new secret, or the one before, was put in use' },
  'credential.updated': { name: 'Credential Updated', description: 'Its settings, secret, name or tags were changed' },
  'health.failed': { name: 'Health Failed', description: 'A test failed after one that succeeded' },
  'health.recovered': { name: 'Health Recovered', description: 'A test succeeded after one that failed' },
  'key.rotated': {
    name: 'Key Rotated',
    description: 'A new data key seals what is written from now on. About no credential: any filter keeps it away.',
  },
  'refresh.failed': { name: 'Refresh Failed', description: 'One refresh failed; the credential says why' },
  'rotation.failed': {
    name: 'Rotation Failed',
    description: 'A new secret was refused, or its rotation was given up; the old secret stays in use',
  },
};

const offered: INodePropertyOptions[] = Object.entries(OFFERED).map(([value, texts]) => ({ ...texts, value }));

const filters: INodeProperties = {
  displayName: 'Filters',
  name: 'filters',
  type: 'collection',
  placeholder: 'Add Filter',
  default: {},
  description: 'Only events that pass all of these start the workflow',
  options: [
    {
      displayName: 'Owner ID',
      name: 'ownerId',
      type: 'string',
      default: '',
      description: 'Only events of credentials of this owner',
    },
    {
      displayName: 'Protocol',
      name: 'protocol',
      type: 'string',
      default: '',
      placeholder: 'oauth2',
      description: 'Only events of credentials of this protocol',
    },
    {
      displayName: 'State',
      name: 'state',
      type: 'options',
      options: [
        { name: 'Expired', value: 'expired' },
        { name: 'Pending', value: 'pending' },
        { name: 'Refreshing', value: 'refreshing' },
        { name: 'Revoked', value: 'revoked' },
        { name: 'Valid', value: 'valid' },
      ],
      default: 'expired',
      description: 'Only events after which the credential was in this state',
    },
    {
      displayName: 'Tags',
      name: 'tags',
      type: 'string',
      default: '',
      placeholder: 'production,billing',
      description: 'Separated by commas. Only events of credentials that carry all of them now.',
    },
  ],
};

/** What the trigger asks for. */
export const eventProperties: INodeProperties[] = [
  {
    displayName: 'Events',
    name: 'events',
    type: 'multiOptions',
    required: true,
    noDataExpression: true,
    options: [{ name: 'All', value: ALL_EVENTS, description: 'Every event, of which there are many' }, ...offered],
    default: [ALL_EVENTS],
    description: 'What starts the workflow. Events that come together are items of one execution.',
  },
  filters,
  {
    displayName: 'Start From',
    name: 'startFrom',
    type: 'options',
    noDataExpression: true,
    options: [
      { name: 'Now', value: 'now', description: 'What happens from the first activation on' },
      {
        name: 'Oldest Kept Event',
        value: 'oldest',
        description: 'All that is still stored, up to 90 days of it unless the engine was told otherwise',
      },
    ],
    default: 'now',
    description:
      'Where this trigger begins when it is activated for the first time. Later it goes on where it stopped, also after a deactivation.',
  },
];

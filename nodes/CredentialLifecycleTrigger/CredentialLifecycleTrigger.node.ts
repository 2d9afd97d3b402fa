import {
  NodeConnectionTypes,
  type INodeType,
  type INodeTypeDescription,
  type ITriggerFunctions,
  type ITriggerResponse,
} from 'n8n-workflow';
import { credentialTests } from '../../src/n8n/credential-tests.ts';
import { eventProperties } from '../../src/n8n/event-properties.ts';
import { triggerOnEvents } from '../../src/n8n/event-trigger.ts';

const { access } = credentialTests();

const SUBTITLE = '={{$parameter["events"].includes("*") ? "all events" : $parameter["events"].join(", ")}}';

/** Starts a workflow when something happens to a credential. What comes out tells of it, and never holds it. */
export class CredentialLifecycleTrigger implements INodeType {
  description: INodeTypeDescription = {
    displayName: 'Credential Lifecycle Trigger',
    name: 'credentialLifecycleTrigger',
    icon: {
      light: 'file:../CredentialLifecycle/credential-lifecycle.svg',
      dark: 'file:../CredentialLifecycle/credential-lifecycle.dark.svg',
    },
    group: ['trigger'],
    version: 1,
    subtitle: SUBTITLE,
    description: 'Starts the workflow when a credential expires, recovers, needs a person, or changes otherwise',
    eventTriggerDescription: 'Waiting for something to happen to a credential',
    activationMessage: 'Events of your credentials start this workflow now.',
    defaults: { name: 'Credential Lifecycle Trigger' },
    inputs: [],
    outputs: [NodeConnectionTypes.Main],
    credentials: [{ name: 'credentialLifecycleAccessApi', required: true, testedBy: 'credentialLifecycleAccessTest' }],
    properties: eventProperties,
  };

  methods = { credentialTest: { credentialLifecycleAccessTest: access } };

  async trigger(this: ITriggerFunctions): Promise<ITriggerResponse> {
    return triggerOnEvents(this);
  }
}

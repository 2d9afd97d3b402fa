// The machine in a host of your own: you bring the effects, it brings the order. In an ES module project: node embed.ts
import { createActor, fromPromise } from 'xstate';
import { credentialMachine, type ClaimInput, type Outcome, type SendInput } from 'n8n-nodes-credential-lifecycle';

const claimRefresh = fromPromise<Outcome, ClaimInput>(({ input: { credentialId } }) =>
  Promise.resolve({ outcome: 'claimed', claim: { credentialId, owner: 'host', fence: 1 }, attemptId: 'first' }),
);
// Here your request goes out, and its answer into your store, before the machine hears of it.
const sendRefresh = fromPromise<Outcome, SendInput>(() =>
  Promise.resolve({ outcome: 'settled', state: 'valid.fresh', generation: 1, reason: 'refreshed', events: [] }),
);
const actors = { claimRefresh, sendRefresh };
const input = { credentialId: 'crm', generation: 0, reason: 'registered' } as const;
const actor = createActor(credentialMachine.provide({ actors }), { input });
actor.subscribe(({ value }) => {
  console.log(JSON.stringify(value.lifecycle));
});
actor.start().send({ type: 'credential.refresh', reason: 'firstUse', claim: null });

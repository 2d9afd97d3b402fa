import { exitCodeOfError } from '../../src/cli/exit-codes.ts';
import { credentialTable, troubleLines } from '../../src/cli/credential-table.ts';
import { rotationFacts } from '../../src/cli/rotation-words.ts';
import { plainStyle } from '../../src/cli/style.ts';
import { IDLE_SUMMARY, ROTATION_STATES, type RotationSummary } from '../../src/lifecycle/rotation/progress.ts';
import { inSeconds, NOW, sampleCredential, sampleRow } from './credential-samples.ts';

const OPTIONS = { now: NOW, width: 200, style: plainStyle };

function rotation(changes: Partial<RotationSummary>): { rotation: RotationSummary } {
  return { rotation: { ...IDLE_SUMMARY, ...changes } };
}

describe('the table of credentials', () => {
  it('has no column for rotations while none is under way', () => {
    expect(credentialTable([sampleRow()], OPTIONS)[0]).not.toContain('ROTATION');
  });

  it.each(ROTATION_STATES.filter((state) => state !== 'idle'))('has one when a credential is in %s', (state) => {
    const [title, , other] = credentialTable([sampleRow(rotation({ state })), sampleRow()], OPTIONS);
    expect(title).toContain('ROTATION');
    expect(other).toContain('–');
  });
});

it('says what is wrong with a rotation below the table, although the credential is valid', () => {
  const failure = { code: 'ERR_ROTATION_CANDIDATES_EXHAUSTED', message: 'The target refuses it.', at: NOW } as const;
  const lines = troubleLines([sampleRow(rotation({ state: 'failed', failure }))], OPTIONS);
  expect(lines[0]).toBe(
    'Billing API: The rotation of its secret: The target refuses it. [ERR_ROTATION_CANDIDATES_EXHAUSTED]',
  );
  expect(lines[1]).toContain('credlife rotate');
  expect(exitCodeOfError(failure.code)).toBe(3);
});

it('tells of a rotation only what there is to tell', () => {
  expect(rotationFacts(sampleCredential(), NOW)).toEqual({});
  const overlapping = sampleCredential(
    rotation({
      state: 'overlapping',
      reason: 'keyAgeReached',
      rotatedAt: NOW,
      retireDueAt: inSeconds(3_600),
      dueAt: inSeconds(3_600),
    }),
  );
  expect(rotationFacts({ ...overlapping, rotateBy: inSeconds(-1) }, NOW)).toMatchObject({
    rotation: { text: 'old and new accepted, because the secret was old enough' },
    'rotated at': { text: '2026-03-01T12:00:00.000Z' },
    'old secret ends': { text: 'in 60m (2026-03-01T13:00:00.000Z)' },
    'rotate by': { text: 'now (2026-03-01T11:59:59.000Z)' },
  });
});

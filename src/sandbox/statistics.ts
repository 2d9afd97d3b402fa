import { z } from 'zod/v4';

export const sandboxStatisticsSchema = z.strictObject({
  /** Requests at all endpoints since the folder was made. */
  requests: z.int(),
  tokenRequests: z.int(),
  /** Refresh tokens presented after they were spent, outside the grace window. A good client has none, ever. */
  spentTokensPresented: z.int(),
  /** Refresh tokens presented again within the grace window: a client healed an interrupted refresh. */
  graceReuses: z.int(),
  /** Successful refreshes by client id. */
  refreshes: z.record(z.string(), z.int()),
});

/** The server's log in numbers. */
export type SandboxStatistics = z.output<typeof sandboxStatisticsSchema>;

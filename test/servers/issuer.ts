/** The issuer, for tests. Its own files are in `issuer/`, which Node runs without a build. */
export { Issuer } from './issuer/issuer.ts';
export type { Family, IssuerFault, IssuerFaults, IssuerOptions, LogEntry, Minted } from './issuer/contract.ts';

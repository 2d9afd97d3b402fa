/** What `serve` shows while it runs. */
export interface View {
  /** Shows what is left to show. */
  close(): Promise<void>;
}

/** The texts of a policy's files, by which it can be loaded again elsewhere. */
export interface PolicyTexts {
  /** The instance it is in force for. */
  readonly instance: string;
  /** The names of the policy file and then of its drop-ins. */
  readonly documents: readonly string[];
  /** The text of each file, lists included. */
  readonly texts: Readonly<Record<string, string>>;
}

import type { RulesSpec } from '../generated-policy.ts';

/** Another way of getting rules into a host's kernel, with a place where its rules are kept. */
export interface Peer {
  readonly name: string;
  /** Keeps these rules for the next start or reload; false where it cannot say them. */
  write(spec: RulesSpec): boolean;
  /** Puts the kept rules into a kernel that has none of its rules; the milliseconds. */
  start(): Promise<number>;
  /** Replaces the rules in the kernel by the kept ones, as its users do; the milliseconds. */
  reload(): number;
  /** Takes its rules out of the kernel, and ends what it runs. */
  stop(): Promise<void>;
  /** Stops and leaves nothing behind. */
  close(): Promise<void>;
}

/** A peer and a host it is loaded into; opened where its programs are installed. */
export interface PeerKind {
  readonly name: string;
  isPresent(): boolean;
  /** `scratch` is a folder for its files. */
  open(scratch: string, namespace: string): Promise<Peer>;
}

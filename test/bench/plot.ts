import type { Result } from './measurement.ts';
export function plot(_results: readonly Result[]): string { return ''; }

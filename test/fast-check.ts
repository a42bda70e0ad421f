import { configureGlobal } from 'fast-check';

// `npm run test:long` asks for more runs of each property than a quick check has time for.
// One that only wants to know whether there is a counterexample, as the mutation check does, leaves shrinking out.
const runs = process.env['PROPERTY_RUNS'];
configureGlobal({
  ...(runs === undefined ? {} : { numRuns: Number(runs) }),
  endOnFailure: process.env['PROPERTY_SHRINK'] === 'no',
});

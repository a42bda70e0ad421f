import { configureGlobal } from 'fast-check';

// `npm run test:long` asks for more runs of each property than a quick check has time for.
const runs = process.env['PROPERTY_RUNS'];
if (runs !== undefined) configureGlobal({ numRuns: Number(runs) });

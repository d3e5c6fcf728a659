// Writes docs/config.md from the schema of src/config.ts; test/config-docs.test.ts fails when it is stale.
//   npm run build && node scripts/config-docs.mjs
import {writeFileSync} from 'node:fs';
import {configDocs} from '../dist/src/config-docs.js';

writeFileSync(new URL('../docs/config.md', import.meta.url), configDocs());

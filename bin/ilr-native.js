#!/usr/bin/env node
import {existsSync} from 'node:fs';

const main = new URL('../dist/src/cli/main.js', import.meta.url);
if (existsSync(main)) {
  process.exitCode = await (await import(main.href)).main(process.argv.slice(2));
} else {
  process.stderr.write('error: ilr-native is not compiled yet: dist/ is missing. Run `npm run build` in its folder.\n');
  process.exitCode = 1;
}

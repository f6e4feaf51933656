#!/usr/bin/env node
import module from 'node:module';
module.enableCompileCache?.();
await (await import('../dist/cli/main.js')).main('sr_put', process.argv.slice(2));

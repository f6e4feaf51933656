#!/usr/bin/env node
import module from 'node:module';
module.enableCompileCache?.();
await (await import('../dist/cli/pump.js')).main(process.argv.slice(2));

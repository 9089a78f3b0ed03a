// What the model of Chrome DevTools, as chrome-devtools-mcp carries it, says about files.
//
//     node --import ./newer.mjs devtools.mjs NODE_MODULES REQUEST.json ANSWER.json
//
// The request: {"files": [path, ...], "ids": [id, ...], "retainers": [id, ...], "stacks": [id, ...]}. Ids
// are of the last file, with which the first is compared.
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [modules, requestPath, answerPath] = process.argv.slice(2);
const request = JSON.parse(readFileSync(requestPath, 'utf8'));
const source = `${modules}/chrome-devtools-mcp/build/src/processors/HeapSnapshotManager.js`;
const { HeapSnapshotManager } = await import(pathToFileURL(source).href);

const manager = new HeapSnapshotManager();
const file = request.files.at(-1);
const problems = [];
console.warn = (...texts) => problems.push(texts.join(' '));
console.error = console.warn;

const answer = { objects: {} };
answer.statistics = await manager.getStats(file);
answer.static = await manager.getStaticData(file);
answer.classes = (await manager.getAggregates(file)).aggregates;
answer.duplicates = (await manager.getDuplicateStrings(file)).map(({ value, count }) => [value, count]);
for (const id of request.ids) {
  answer.objects[id] = {
    info: await manager.getObjectInfo(file, id),
    dominators: await manager.getDominatorsOf(file, id),
  };
}
for (const id of request.retainers ?? []) {
  answer.objects[id].retainers = (await manager.getRetainers(file, id)).items;
}
const { proxy } = await manager.getSnapshot(file);
answer.stacks = {};
for (const id of request.stacks ?? []) {
  answer.stacks[id] = await proxy.allocationStack(await proxy.nodeIndexForId(id));
}
if (request.files.length > 1) {
  answer.differences = (await manager.getClassDiffs(request.files[0], file)).classDiffs;
}
answer.problems = problems;
writeFileSync(answerPath, JSON.stringify(answer));
process.exit(0);

// What memlab says about a file: of each of some objects its sizes and its dominator.
//
//     node memlab.cjs NODE_MODULES FILE ANSWER.json COUNT
//
// Writes [[id, name, self size, retained size, id of the dominator], ...] of the COUNT objects with
// the largest retained sizes.
const [modules, file, answer, count] = process.argv.slice(2);
const { getFullHeapFromFile } = require(`${modules}/@memlab/heap-analysis`);

async function main() {
  const heap = await getFullHeapFromFile(file);
  const rows = [];
  heap.nodes.forEach(node => {
    const dominator = node.dominatorNode;
    rows.push([node.id, node.name, node.self_size, Number(node.retainedSize), dominator && dominator.id]);
  });
  rows.sort((a, b) => b[3] - a[3] || a[0] - b[0]);
  require('fs').writeFileSync(answer, JSON.stringify(rows.slice(0, Number(count))));
}
main().then(() => process.exit(0), error => { console.error(error); process.exit(1); });

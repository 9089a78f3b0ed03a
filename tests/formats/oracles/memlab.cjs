// What memlab says about a file: of each of some objects its sizes and its dominator.
//
//     node memlab.cjs NODE_MODULES FILE COUNT
//
// Prints JSON: [[id, name, self size, retained size, id of the dominator], ...] of the COUNT objects
// with the largest retained sizes; 0: of all.
const [modules, file, count] = process.argv.slice(2);
const { getFullHeapFromFile } = require(`${modules}/@memlab/heap-analysis`);

async function main() {
  console.log = () => {};
  const heap = await getFullHeapFromFile(file);
  const rows = [];
  heap.nodes.forEach(node => {
    const dominator = node.dominatorNode;
    rows.push([node.id, node.name, node.self_size, Number(node.retainedSize), dominator && dominator.id]);
  });
  rows.sort((a, b) => b[3] - a[3] || a[0] - b[0]);
  const shown = Number(count) ? rows.slice(0, Number(count)) : rows;
  require('fs').writeSync(1, '\n' + JSON.stringify(shown));
  process.exit(0);
}
main();

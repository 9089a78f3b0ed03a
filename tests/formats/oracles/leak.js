// A small program for Node.js that writes two snapshots of itself and leaks in between.
const v8 = require('node:v8');

class Session {
  constructor(number) {
    this.number = number;
    this.data = { text: `session ${number}`, list: [number, number + 1] };
  }
}

const cache = new Map();
global.registry = { cache, handlers: [] };
function grow(count) {
  for (let i = 0; i < count; i++) {
    cache.set(`key ${cache.size}`, new Session(cache.size));
    global.registry.handlers.push(() => i);
  }
}

grow(2000);
v8.writeHeapSnapshot(process.argv[2]);
grow(1000);
v8.writeHeapSnapshot(process.argv[3]);

// A tree in columns: the children of each node in order of their size, and ways through it.

export class ColumnTree {
  /**
   * @param {number[]} parent the parent of each node, -1 for the root, which is node 0
   * @param {number[]} values what orders the children: the largest first
   */
  constructor(parent, values) {
    const count = parent.length;
    /** @type {number[]} */
    this.parent = parent;
    /** @type {Int32Array} where the children of a node start in `order` */
    this.start = new Int32Array(count + 1);
    for (let node = 1; node < count; node += 1) {
      const place = (parent[node] ?? 0) + 1;
      this.start[place] = (this.start[place] ?? 0) + 1;
    }
    for (let node = 0; node < count; node += 1) {
      this.start[node + 1] = (this.start[node + 1] ?? 0) + (this.start[node] ?? 0);
    }
    const next = this.start.slice();
    /** @type {Int32Array} the children of all nodes */
    this.order = new Int32Array(Math.max(count - 1, 0));
    const bySize = Array.from({ length: Math.max(count - 1, 0) }, (_, i) => i + 1);
    bySize.sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b);
    for (const node of bySize) {
      const above = parent[node] ?? 0;
      const place = next[above] ?? 0;
      this.order[place] = node;
      next[above] = place + 1;
    }
  }

  get size() {
    return this.parent.length;
  }

  /**
   * Return the children of a node, the largest first.
   * @param {number} node
   */
  children(node) {
    return this.order.subarray(this.start[node] ?? 0, this.start[node + 1] ?? 0);
  }

  /**
   * Return the nodes from the root to a node, both included.
   * @param {number} node
   */
  path(node) {
    const path = [];
    for (let at = node; at >= 0; at = this.parent[at] ?? -1) path.push(at);
    return path.reverse();
  }

  /**
   * Return the sibling that is `step` places after a node, or the node itself at the ends.
   * @param {number} node
   * @param {number} step
   */
  sibling(node, step) {
    const parent = this.parent[node] ?? -1;
    if (parent < 0) return node;
    const siblings = this.children(parent);
    return siblings[siblings.indexOf(node) + step] ?? node;
  }

  /**
   * Return whether a node is another one or below it.
   * @param {number} node
   * @param {number} ancestor
   */
  isWithin(node, ancestor) {
    let at = node;
    while (at > ancestor) at = this.parent[at] ?? -1; // parents come before their children
    return at === ancestor;
  }

  /**
   * Return a node that a link names: the root unless it is the number of a node.
   * @param {string | null} text
   */
  nodeOf(text) {
    const node = Number(text ?? 0);
    return Number.isInteger(node) && node >= 0 && node < this.size ? node : 0;
  }
}

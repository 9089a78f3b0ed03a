/* A column of immediate dominators, and walks over the tree that it is.
 *
 * The column may come from a damaged file, so nothing relies on it being a tree: no walk from
 * the top reaches a circle. Most captures number a dominator before the nodes it dominates; one
 * pass in order is then enough. Other columns take a byte a node, or lists of children. */
#ifndef MEMLENS_GRAPH_TREE_H
#define MEMLENS_GRAPH_TREE_H

#include "base/buffer.h"
#include "base/layout.h"

typedef struct {
    const uint32_t *parent;
    uint32_t count;
    int is_ordered; /* every parent comes before its children */
} Tree;

/* A column of at least one node, every parent in it, as a tree. */
Tree tree_of(const uint32_t *parent, uint32_t count);

/* Count into `offset`, count + 1 zeros, where the children of each node begin. */
void tree_count_children(const Tree *tree, uint64_t *offset);

/* Fill in the children. Returns -1 when there is no memory. */
int tree_fill_children(const Tree *tree, const uint64_t *offset, uint32_t *children);

/* For each node itself, or else its nearest dominator, that is marked. Returns -1 when there is no
 * memory. */
int tree_nearest_marked(const Tree *tree, const uint8_t *mark, uint32_t *nearest);

/* Hand the flags of `mask` down to all that a node dominates. Returns -1 when there is no
 * memory. */
int tree_spread_flags(const Tree *tree, uint16_t *flags, unsigned mask);

/* Add the value of each node to those of all its dominators. Values must fit in 64 bits when they
 * are added up. Returns -1 when there is no memory. */
int tree_add_up(const Tree *tree, uint64_t *value);

/* Take out of the retained sizes of unmarked nodes what marked ones retain. The marks, the bits of
 * `mask` in `flags`, are handed down already. Returns -1 when there is no memory. */
int tree_leave_out(const Tree *tree, const uint16_t *flags, unsigned mask, uint64_t *retained);

/* Children as linked lists: `first` and `next`, each with an entry for each node, ascending. */
typedef struct {
    Buffer memory;
    uint32_t *first, *next;
} Lists;

/* Returns -1 when there is no memory. Free with buffer_free(&lists.memory). */
int lists_make(Lists *lists, const Tree *tree);

/* The node to visit after `node` and, unless `is_done`, all below it; NODE_NONE after the last
 * below `top`. `leave` is called for each node after all nodes below it. */
static inline uint32_t
next_below(const Tree *tree, const Lists *lists, uint32_t top, uint32_t node,
           void (*leave)(void *, uint32_t), void *arg)
{
    if (lists->first[node] != NODE_NONE) {
        return lists->first[node];
    }
    for (;;) {
        if (leave != NULL) {
            leave(arg, node);
        }
        if (node == top) {
            return NODE_NONE;
        }
        if (lists->next[node] != NODE_NONE) {
            return lists->next[node];
        }
        node = tree->parent[node];
    }
}

/* Visit each node after its parent; those on a circle and below it not at all. Returns -1 when there is no memory. */
int visit_downwards(const Tree *tree, void (*visit)(void *, uint32_t node, uint32_t parent),
                    void *arg);

#endif

/* Dominators and retained sizes: Semi-NCA, as in pure/dominators.py, which has the sources.
 *
 * Everything between the two ends works on depth-first numbers, in which an edge from an ancestor
 * is an edge to a higher number. Nodes of a captured heap are numbered depth-first already, so the
 * search and all that follows walk memory almost in order.
 */
#include "graph/dominators.h"

#include <string.h>

typedef struct {
    const Graph *graph;
    uint32_t count;      /* reached nodes */
    uint32_t *node;      /* by number */
    uint32_t *number;    /* by node; NODE_NONE: not reached */
    uint32_t *parent;    /* by number, of the search tree */
    uint32_t *semi;      /* by number */
    uint32_t *above;     /* by number: an ancestor in the forest of finished paths */
    uint32_t *least;     /* by number: least semidominator on the way to `above` */
    uint32_t *dominator; /* by number; takes the place of `above` */
    uint64_t *in_offset; /* by number: rows of the predecessors with higher numbers */
    uint32_t *in_source;
    Buffer columns, rows, sources, stack;
} Work;

static void
free_work(Work *work)
{
    buffer_free(&work->columns);
    buffer_free(&work->rows);
    buffer_free(&work->sources);
    buffer_free(&work->stack);
}

static int
allocate_columns(Work *work)
{
    size_t count = work->graph->node_count;
    if (buffer_zeros(&work->columns, 5 * count * sizeof(uint32_t)) < 0) {
        return -1;
    }
    work->node = (uint32_t *)work->columns.data;
    work->number = work->node + count;
    work->parent = work->node + 2 * count;
    work->semi = work->node + 3 * count;
    work->above = work->node + 4 * count;
    work->least = work->number; /* which is not needed from there on */
    work->dominator = work->above;
    return 0;
}

/* Number the reached nodes. The stack holds, for each node on the current path, its next edge. */
static int
number_depth_first(Work *work)
{
    const Graph *graph = work->graph;
    const uint64_t *offset = graph->offset;
    uint32_t *number = work->number;
    memset(number, 0xff, graph->node_count * sizeof(uint32_t));
    number[0] = 0;
    work->node[0] = 0;
    work->parent[0] = 0;
    uint32_t count = 1, at = 0; /* `at`: number of the node whose edges are being followed */
    uint64_t edge = offset[0], end = offset[1];
    for (;;) {
        while (edge < end) {
            uint32_t target = graph->target[edge];
            edge++;
            if (number[target] != NODE_NONE || edge_is_weak(graph, edge - 1)) {
                continue;
            }
            number[target] = count;
            work->node[count] = target;
            work->parent[count] = at;
            count++;
            if (offset[target] == offset[target + 1]) {
                continue;
            }
            if (push_u64(&work->stack, edge) < 0) {
                return -1;
            }
            at = count - 1;
            edge = offset[target];
            end = offset[target + 1];
        }
        if (at == 0) {
            break;
        }
        at = work->parent[at];
        work->stack.size -= sizeof(uint64_t);
        edge = *(uint64_t *)(work->stack.data + work->stack.size);
        end = offset[work->node[at] + 1];
    }
    buffer_free(&work->stack);
    work->count = count;
    return 0;
}

/* Edges from an ancestor give the first candidate for the semidominator; edges from a higher
 * number go into rows by target. Edges of the search tree and self loops fall out. */
static int
gather_predecessors(Work *work)
{
    const Graph *graph = work->graph;
    uint32_t count = work->count;
    const uint32_t *number = work->number;
    memcpy(work->semi, work->parent, count * sizeof(uint32_t));
    if (buffer_zeros(&work->rows, ((size_t)count + 1) * sizeof(uint64_t)) < 0) {
        return -1;
    }
    uint64_t *row = work->in_offset = (uint64_t *)work->rows.data;
    uint64_t kept = 0;
    for (uint32_t source = 0; source < count; source++) {
        uint32_t node = work->node[source];
        for (uint64_t edge = graph->offset[node]; edge < graph->offset[node + 1]; edge++) {
            uint32_t target = number[graph->target[edge]];
            if (target > source) { /* a weak edge may even lead to what is not reached */
                if (target != NODE_NONE && source < work->semi[target]
                    && !edge_is_weak(graph, edge)) {
                    work->semi[target] = source;
                }
            }
            else if (target < source && target != 0 && !edge_is_weak(graph, edge)) {
                row[target]++;
                kept++;
            }
        }
    }
    if (buffer_zeros(&work->sources, kept * sizeof(uint32_t)) < 0) {
        return -1;
    }
    work->in_source = (uint32_t *)work->sources.data;
    uint64_t end = 0; /* each row's end first; filling moves it to the row's start */
    for (uint32_t target = 0; target < count; target++) {
        end += row[target];
        row[target] = end;
    }
    row[count] = end;
    for (uint32_t source = 0; source < count; source++) {
        uint32_t node = work->node[source];
        for (uint64_t edge = graph->offset[node]; edge < graph->offset[node + 1]; edge++) {
            uint32_t target = number[graph->target[edge]];
            if (target < source && target != 0 && !edge_is_weak(graph, edge)) {
                work->in_source[--row[target]] = source;
            }
        }
    }
    return 0;
}

/* Point `above` of a number and its ancestors to the first that is not above `limit`. */
static int
compress_path(Work *work, uint32_t source, uint32_t limit)
{
    uint32_t *above = work->above, *least = work->least;
    work->stack.size = 0;
    while (above[source] > limit) {
        if (push_u32(&work->stack, source) < 0) {
            return -1;
        }
        source = above[source];
    }
    uint32_t top = above[source], lowest = least[source];
    for (size_t left = work->stack.size / sizeof(uint32_t); left > 0; left--) {
        uint32_t step = ((uint32_t *)work->stack.data)[left - 1];
        if (least[step] < lowest) {
            lowest = least[step];
        }
        else {
            least[step] = lowest;
        }
        above[step] = top;
    }
    return 0;
}

static int
find_semidominators(Work *work)
{
    uint32_t count = work->count;
    memcpy(work->above, work->parent, count * sizeof(uint32_t));
    memcpy(work->least, work->semi, count * sizeof(uint32_t));
    for (uint32_t number = count - 1; number > 0; number--) {
        uint32_t lowest = work->semi[number];
        uint64_t end = work->in_offset[number + 1];
        for (uint64_t i = work->in_offset[number]; i < end && lowest != 0; i++) {
            uint32_t source = work->in_source[i];
            if (work->above[source] > number && compress_path(work, source, number) < 0) {
                return -1;
            }
            if (work->least[source] < lowest) {
                lowest = work->least[source];
            }
        }
        work->semi[number] = work->least[number] = lowest;
    }
    buffer_free(&work->stack);
    return 0;
}

/* Long climbs, which would make the whole quadratic, use jumps to far ancestors: see the reference.
 * They are kept only once the plain climbs have taken this many steps a node. */
#define PLAIN_STEPS 32u

typedef struct {
    uint32_t *jump;
    uint32_t *length;
    Buffer memory;
} Jumps;

static void
add_jump(Jumps *jumps, uint32_t number, uint32_t dominator)
{
    uint32_t far = jumps->jump[dominator];
    if (jumps->length[dominator] == jumps->length[far]) {
        jumps->jump[number] = jumps->jump[far];
        jumps->length[number] = 2 * jumps->length[dominator] + 1;
    }
    else {
        jumps->jump[number] = dominator;
        jumps->length[number] = 1;
    }
}

static int
start_jumps(Jumps *jumps, const Work *work, uint32_t done)
{
    if (buffer_zeros(&jumps->memory, 2 * (size_t)work->count * sizeof(uint32_t)) < 0) {
        return -1;
    }
    jumps->jump = (uint32_t *)jumps->memory.data;
    jumps->length = jumps->jump + work->count;
    for (uint32_t number = 1; number < done; number++) {
        add_jump(jumps, number, work->dominator[number]);
    }
    return 0;
}

static int
find_common_ancestors(Work *work)
{
    Jumps jumps = {NULL, NULL, {NULL, 0, 0}};
    uint32_t *dominator = work->dominator;
    uint64_t steps_left = (uint64_t)PLAIN_STEPS * work->count;
    dominator[0] = 0;
    for (uint32_t number = 1; number < work->count; number++) {
        uint32_t bound = work->semi[number], ancestor = work->parent[number];
        while (ancestor > bound) {
            if (jumps.jump != NULL) {
                uint32_t far = jumps.jump[ancestor];
                ancestor = far >= bound ? far : dominator[ancestor];
            }
            else if (steps_left-- > 0) {
                ancestor = dominator[ancestor];
            }
            else if (start_jumps(&jumps, work, number) < 0) {
                return -1;
            }
        }
        dominator[number] = ancestor;
        if (jumps.jump != NULL) {
            add_jump(&jumps, number, ancestor);
        }
    }
    buffer_free(&jumps.memory);
    return 0;
}

/* A dominator has a lower number than what it dominates: from the last number down, each sum is
 * complete when it is added to the next. */
static void
sum_retained(const Work *work, uint32_t *dominator, uint64_t *retained)
{
    memset(dominator, 0xff, work->graph->node_count * sizeof(uint32_t));
    for (uint32_t number = work->count - 1; number > 0; number--) {
        uint32_t node = work->node[number];
        uint32_t above = work->node[work->dominator[number]];
        dominator[node] = above;
        retained[above] += retained[node];
    }
}

int
find_dominators(const Graph *graph, uint32_t *dominator, uint64_t *retained)
{
    Work work = {.graph = graph};
    int failed = allocate_columns(&work) < 0 || number_depth_first(&work) < 0
                 || gather_predecessors(&work) < 0 || find_semidominators(&work) < 0
                 || find_common_ancestors(&work) < 0;
    buffer_free(&work.rows);
    buffer_free(&work.sources);
    if (!failed) {
        sum_retained(&work, dominator, retained);
    }
    free_work(&work);
    return failed ? -1 : 0;
}
